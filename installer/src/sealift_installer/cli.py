"""The command `unseal`. This module alone prints and exits.

What a command needs is imported by that command, so that help and `list` start fast.
"""

import argparse
import atexit
import gc
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sealift_installer.arguments import Run, parse
from sealift_installer.errors import HostError, SealiftError
from sealift_installer.streams import CannotPrintError, complete_streams, printing, silence

if TYPE_CHECKING:
    from sealift_installer.authenticate import Authenticated

_DEFECT = 1
_GARBAGE = 100_000  # new objects before the collector looks
# 128 and the number of the signal, as shells say it: SIGINT, SIGPIPE.
_INTERRUPTED = 128 + 2
_PIPE_CLOSED = 128 + 13


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    # An index makes many objects and no cycles; looking for some took a tenth of a command's time.
    gc.set_threshold(_GARBAGE)
    atexit.register(gc.freeze)  # nor is it worth a search when all ends
    complete_streams()
    for stream in (sys.stdout, sys.stderr):
        # A terminal without UTF-8 gets escapes, not a traceback.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        return _run(sys.argv[1:] if arguments is None else arguments)
    except BrokenPipeError:
        silence(sys.stdout)
        return _PIPE_CLOSED
    except CannotPrintError as error:
        silence(sys.stdout)
        _say(f"unseal: cannot write the output: {error}")
        return HostError.exit_code


def _run(arguments: Sequence[str]) -> int:
    debug = False
    try:
        options = parse(arguments, _RUN)
        debug = options.debug
        code: int = options.run(options)
    except SealiftError as error:
        _fail(error)
        return error.exit_code
    except KeyboardInterrupt:
        _say("unseal: interrupted; the next run cleans up")
        return _INTERRUPTED
    except (BrokenPipeError, CannotPrintError):
        raise
    except (MemoryError, OSError) as error:
        if debug:
            raise
        _say(f"unseal: the operating system refuses: {_reason(error)}")
        return HostError.exit_code
    except Exception as error:
        if debug:
            raise
        _say(f"unseal: a defect of unseal, please report it: {type(error).__name__}: {error!a}")
        _say("hint: --debug shows where")
        return _DEFECT
    return code


def _reason(error: MemoryError | OSError) -> str:
    if isinstance(error, MemoryError):
        return "not enough memory"
    name = f": {error.filename!a}" if error.filename is not None else ""
    return f"{error.strerror or error}{name}"


def _verify(options: argparse.Namespace) -> int:
    from sealift_installer.text import bundle_line, size
    from sealift_installer.verify import verify_files

    authenticated = _open(options)
    report = verify_files(authenticated)
    _show(
        options,
        {
            "manifest": authenticated.manifest_sha256,
            "stream": authenticated.manifest.stream,
            "epoch": authenticated.manifest.epoch,
            "sequence": authenticated.manifest.sequence,
            "root_version": authenticated.root.root.version,
            "signers": list(authenticated.signers),
            "files": report.files,
            "size": report.size,
            "archives": report.archives,
            "warnings": list(authenticated.warnings),
        },
        [
            bundle_line(
                authenticated.manifest, authenticated.signers, authenticated.root.root.version
            ),
            f"good: {report.files} files, {size(report.size)}, {report.archives} archives",
        ],
    )
    return 0


def _inspect(options: argparse.Namespace) -> int:
    from sealift_installer.inspect import inspect
    from sealift_installer.text import inspect_lines

    facts = inspect(_open(options))
    _show(options, facts.to_json(), inspect_lines(facts))
    return 0


def _install(options: argparse.Namespace) -> int:
    from sealift_installer.install import InstallOptions, install
    from sealift_installer.text import install_lines

    wanted = InstallOptions(
        prefix=_prefix(options),
        names=tuple(options.names),
        link=options.link,
        allow_downgrade=options.allow_downgrade,
        accept_expired=options.accept_expired,
    )
    report = install(options.bundle, wanted, _Terminal(options))
    _show(options, report.to_json(), install_lines(report))
    for outcome in report.outcomes:
        if outcome.error is not None:
            _fail(outcome.error)
    return report.exit_code


def _list(options: argparse.Namespace) -> int:
    from sealift_installer.prefix import Prefix
    from sealift_installer.records import Records
    from sealift_installer.text import list_lines

    found = Records(Prefix(_prefix(options)).state).all()
    records = [(record, Path(record.path).is_dir()) for record in found]
    values = [{**record.to_json(), "there": there} for record, there in records]
    _show(options, {"installed": values}, list_lines(records))
    return 0


def _trust_import(options: argparse.Namespace) -> int:
    from sealift_installer.account import utc_now
    from sealift_installer.first_root import import_root
    from sealift_installer.prefix import Prefix

    prefix = Prefix(_prefix(options))
    imported = import_root(options.file, options.sha256, prefix, utc_now(), _Terminal(options))
    version, sha256 = imported.root.root.version, imported.root.sha256
    what = "trusted from now on" if imported.new else "trusted already"
    _show(
        options,
        {"version": version, "sha256": sha256, "new": imported.new},
        [f"root version {version} is {what}: {sha256}"],
    )
    return 0


def _trust_show(options: argparse.Namespace) -> int:
    from sealift_installer.first_root import describe_trust
    from sealift_installer.prefix import Prefix
    from sealift_installer.text import trust_lines
    from sealift_installer.trust.state import StateStore

    trust = describe_trust(StateStore(Prefix(_prefix(options)).state).load())
    _show(options, trust, trust_lines(trust))
    return 0


def _open(options: argparse.Namespace) -> "Authenticated":
    from sealift_installer.account import utc_now
    from sealift_installer.authenticate import Terms
    from sealift_installer.inspect import open_bundle

    terms = Terms(utc_now(), options.allow_downgrade, options.accept_expired)
    authenticated = open_bundle(options.bundle, _prefix(options), terms)
    for warning in authenticated.warnings:
        _say(f"warning: {warning}")
    return authenticated


class _Terminal:
    """Progress on stderr: steps for a person who watches, warnings for everybody."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._shown = not options.quiet and sys.stderr.isatty()

    def step(self, archive: str, what: str) -> None:
        if self._shown:
            _say(f"{archive}: {what}")

    def note(self, text: str) -> None:
        _say(text)

    def warn(self, text: str) -> None:
        _say(f"warning: {text}")


def _prefix(options: argparse.Namespace) -> Path:
    if options.prefix is not None:
        path: Path = options.prefix
        return path
    from sealift_installer.prefix import default_prefix

    return default_prefix()


def _show(options: argparse.Namespace, value: dict[str, Any], lines: Iterable[str]) -> None:
    with printing():
        if options.json:
            import json

            print(json.dumps(value, indent=2))  # noqa: T201 - the command's result
        elif not options.quiet:
            for line in lines:
                print(line)  # noqa: T201 - the command's result


def _fail(error: SealiftError) -> None:
    from sealift_installer.text import error_lines

    for line in error_lines(error):
        _say(line)


def _say(text: str) -> None:
    # That nobody reads it, or that the log is full, is no reason to leave an install half-way.
    with suppress(OSError):
        print(text, file=sys.stderr)  # noqa: T201 - this module alone prints


_RUN: dict[str, Run] = {
    "verify": _verify,
    "inspect": _inspect,
    "install": _install,
    "list": _list,
    "trust import": _trust_import,
    "trust show": _trust_show,
}
