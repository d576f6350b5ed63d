"""The command `unseal`. The modules of this package alone print and exit."""

import sys

_INTERRUPTED = 128 + 2  # as shells say SIGINT

__all__ = ["main"]


def main(arguments: "list[str] | None" = None) -> int:
    """Run one command and return its exit code; without `arguments`, end the process with it."""
    try:
        # In here, so that who interrupts the first tenth of a second sees no traceback either.
        from sealift_installer.cli.entry import main as run
    except KeyboardInterrupt:
        sys.stderr.write("unseal: interrupted\n")
        return _INTERRUPTED
    return run(arguments)
