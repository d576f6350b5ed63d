"""The command sealift. Only this package prints and exits."""

import signal
import sys

__all__ = ["main"]

# As a shell has it: 128 and the number of SIGINT.
_INTERRUPTED = 130


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        # Some tenths of a second, in which somebody may think better of it.
        from sealift_bundler.cli.main import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    finally:
        # What is left to do is Python's, which would tell of an interrupt with a traceback.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
