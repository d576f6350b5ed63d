"""Signing with a command of the site: bytes on its stdin, the signature on its stdout.

`exec:public=FILE [timeout=SECONDS] COMMAND [ARGUMENT...]`, split as a shell splits words, and run
without one. Its stderr is ours, so that it can tell and ask a person.
"""

import os
import re
import selectors
import shlex
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sealift_bundler.keys import keyid, load_public
from sealift_installer.errors import HostError, UsageError, host_errors, printable
from sealift_installer.limits import LIMITS
from sealift_schemas.root import PublicKey

SCHEME = "exec:"
# Long enough for a person who has to touch a token (seconds).
TIMEOUT = 120
_LONGEST_TIMEOUT = 3600
# How often it is looked whether what was stopped stands still, and how long in between (seconds).
_LOOKS = 1000
_LOOK = 0.001
_HINT = "exec:public=FILE [timeout=SECONDS] COMMAND [ARGUMENT...]"


@dataclass(frozen=True, slots=True)
class Command:
    """What to run, where, for how many seconds, and whose signature comes out."""

    words: tuple[str, ...]
    public: Path
    timeout: int = TIMEOUT


class CommandSigner:
    """Signs by running a command. `sign_checked` verifies what it says, as with every signer."""

    def __init__(self, command: Command, directory: Path) -> None:
        self._command = command
        self._directory = directory
        self._public = load_public(directory / command.public)

    @classmethod
    def load(cls, text: str, directory: Path) -> "CommandSigner":
        """Read the reference `text`; paths in it are relative to `directory`, where it runs.

        Raises:
            UsageError: it is malformed, or its public key is missing or none.
            HostError: the public key cannot be read.
        """
        return cls(parse_command(text), directory)

    @property
    def public(self) -> PublicKey:
        """The public half."""
        return self._public

    def sign(self, data: bytes) -> bytes:
        """Return what the command says to `data`. It finds scheme and key id in its environment.

        Raises:
            HostError: it cannot be run, fails, takes too long, or says nothing or too much.
        """
        environment = {
            **os.environ,
            "SEALIFT_SCHEME": self._public.scheme,
            "SEALIFT_KEYID": keyid(self._public),
        }
        name = printable(self._command.words[0])
        with tempfile.TemporaryFile() as given, host_errors(f"cannot run the signer {name}"):
            given.write(data)
            given.seek(0)
            with subprocess.Popen(
                self._command.words,
                stdin=given,
                stdout=subprocess.PIPE,
                cwd=self._directory,
                env=environment,
            ) as process:
                try:
                    answer = self._listen(process)
                except BaseException:
                    _end(process.pid)
                    raise
        if process.returncode != 0:
            raise HostError(f"the signer ended with status {process.returncode}: {name}")
        if not answer:
            raise HostError(f"the signer gave no signature: {name}")
        return answer

    def _listen(self, process: "subprocess.Popen[bytes]") -> bytes:
        """Return what the process writes until it closes its stdout and ends, within limits."""
        assert process.stdout is not None, "it is a pipe"
        end = time.monotonic() + self._command.timeout
        answer = b""
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while selector.select(max(end - time.monotonic(), 0)):
                part = os.read(process.stdout.fileno(), LIMITS.signature_file + 1)
                answer += part
                if len(answer) > LIMITS.signature_file:
                    raise HostError(
                        f"what the signer gave is no signature: {printable(self._command.words[0])}\n"
                        f"  Expected: at most {LIMITS.signature_file} bytes\n  Found: more"
                    )
                if not part:
                    break
        try:
            process.wait(max(end - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            raise HostError(
                f"the signer took longer than {self._command.timeout} seconds: "
                f"{printable(self._command.words[0])}",
                hint="timeout=SECONDS before the command gives it more time",
            ) from None
        return answer


def _end(process: int) -> None:
    """Kill the process and what it has started, where /proc tells.

    What a script has started would go on, and hold our stderr open for whoever reads it to its
    end. A process group of their own would do as well, but could not ask a person at the terminal.
    All are stopped first, so that none starts another one behind our back.
    """
    doomed: set[int] = set()
    found = {process}
    for _ in range(_LOOKS):
        for each in found:
            with suppress(OSError):
                os.kill(each, signal.SIGSTOP)
        doomed |= found
        there = _processes()
        found = {each for each, (_, parent) in there.items() if parent in doomed} - doomed
        # One that runs has not heeded it yet.
        if not found and not any(there.get(each, ("", 0))[0] == "R" for each in doomed):
            break
        time.sleep(_LOOK)
    for each in doomed:
        with suppress(OSError):
            os.kill(each, signal.SIGKILL)


def _processes() -> dict[int, tuple[str, int]]:
    """Return the state and the parent of each process."""
    there = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError):
            # proc(5): the name, in parentheses, may hold anything; behind it are state and parent.
            state, parent = place.read_text("latin-1").rpartition(")")[2].split()[:2]
            there[int(place.parent.name)] = state, int(parent)
    return there


def parse_command(text: str) -> Command:
    """Read `exec:public=FILE [timeout=SECONDS] COMMAND [ARGUMENT...]`.

    Raises:
        UsageError: it is malformed.
    """
    try:
        words = shlex.split(text.removeprefix(SCHEME))
    except ValueError as error:
        raise UsageError(f"not a signer: {printable(text)}: {error}", hint=_HINT) from None
    settings: dict[str, str] = {}
    while words and words[0].partition("=")[0] in {"public", "timeout"} and "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        if name in settings:
            raise UsageError(f"not a signer: {name} twice: {printable(text)}", hint=_HINT)
        settings[name] = value
    if not words or not settings.get("public"):
        missing = "public=FILE" if words else "a command"
        raise UsageError(f"not a signer: it lacks {missing}: {printable(text)}", hint=_HINT)
    given = settings.get("timeout", str(TIMEOUT))
    if not (re.fullmatch("[0-9]{1,4}", given, re.ASCII) and 1 <= int(given) <= _LONGEST_TIMEOUT):
        raise UsageError(
            f"not a signer: {printable(text)}\n  Expected: timeout= from 1 to {_LONGEST_TIMEOUT} "
            f"seconds\n  Found: timeout={printable(given)}",
            hint=_HINT,
        )
    return Command(tuple(words), Path(settings["public"]), int(given))
