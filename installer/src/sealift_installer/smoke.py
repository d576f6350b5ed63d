"""Starts an interpreter before it is published, and asks it who it is.

It runs in its staging directory, so the prefix that it computes is that one, while the prefix that
was written into its configuration is already the final one.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import EAGAIN, ENOMEM
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sealift_installer.bytecode import unwritten
from sealift_installer.children import heed_children
from sealift_installer.errors import Damaged, HostError, Scarce, host_errors, mismatch, printable
from sealift_installer.prefix import remove_tree
from sealift_schemas.keys import InstallKey
from sealift_schemas.strictjson import DocumentError, Fields, parse

if TYPE_CHECKING:
    import subprocess

_Started = TypeVar("_Started")

# GraalPy starts a JVM; a slow disk reads a few hundred megabytes.
_SECONDS = 120
_ANSWER_LIMIT = 64 * 1024
_MESSAGE_LINES = 5
_MESSAGE_LIMIT = 4096  # bytes
# A process or a thread that has ended counts for a moment longer among those of a user.
_TRIES = 20
_PAUSE_SECONDS = 0.05
# It sees none of the caller's.
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}

# It prints one JSON object, without `json`: a fresh tree has no compiled modules, and with what it
# imports that one takes longer to compile than all else; without `sysconfig`, for the same reason,
# whose `_get_sysconfigdata_name` is spelled out here. Only CPython's configuration names the prefix
# as a constant.
_QUESTION = r"""
import sys
def quote(text):
    if text is None:
        return "null"
    units = text.encode("utf-16-be", "surrogatepass").hex()
    return '"%s"' % "".join("\\u" + units[at : at + 4] for at in range(0, len(units), 4))
version = sys.version_info
level = {"alpha": "a%d", "beta": "b%d", "candidate": "rc%d"}.get(version[3], "")
answer = {
    "implementation": sys.implementation.name,
    "version": "%d.%d.%d" % version[:3] + (level % version[4] if level else ""),
    "prefix": sys.prefix,
    "configured": None,
}
if sys.implementation.name == "cpython" and sys.platform != "win32":
    platform = sys.platform, getattr(sys.implementation, "_multiarch", "")
    name = "_sysconfigdata_%s_%s_%s" % (sys.abiflags, *platform)
    answer["configured"] = __import__(name).build_time_vars["prefix"]
print("{%s}" % ", ".join(quote(name) + ": " + quote(answer[name]) for name in answer))
"""

# `_base_executable` is what venv itself asks for.
_BASE = "import sys; print(sys._base_executable)"
_PREFIX = "import os, sys; print(sys.base_prefix)"


def prepare() -> None:
    """Import what starts a process, so that this does not have to be done when it is needed."""
    import subprocess  # noqa: F401 - as said


def smoke_test(interpreter: Path, tree: Path, name: str, prefix: Path) -> None:
    """Start `interpreter` of the staged `tree`, which will stand at `prefix` under the key `name`.

    Raises:
        HostError: it does not start here.
        Damaged: it is another interpreter than the manifest says, or takes another prefix.
    """
    with smoke_testing(interpreter, tree, name, prefix):
        pass


@contextmanager
def smoke_testing(interpreter: Path, tree: Path, name: str, prefix: Path) -> Iterator[None]:
    """Do a smoke test beside what is done in this context; it is judged at the end.

    Raises:
        HostError, Damaged: as `smoke_test` says.
    """
    with unwritten(tree, name), _asked(interpreter, name) as process:
        try:
            yield
            data = _take_answer(process, name)
        except BaseException:
            process.kill()
            raise
    _judge(data, tree, name, prefix)


def _judge(data: bytes, tree: Path, name: str, prefix: Path) -> None:
    """Compare what an interpreter answers with what the manifest says."""
    try:
        with Fields(parse(data, what="answer", limit=_ANSWER_LIMIT), "answer") as fields:
            implementation = fields.text("implementation")
            version = fields.text("version")
            computed = fields.text("prefix")
            value = fields.take("configured")
            configured = None if value is None else str(value)
    except DocumentError as error:
        said = printable(str(error))
        raise Damaged(f"the interpreter of {name} gives no sensible answer: {said}") from None
    key = InstallKey.parse(name)
    _compare(name, "implementation and version", f"{key.implementation} {key.version}",
             f"{implementation} {version}")  # fmt: skip
    if not _same_directory(computed, tree):
        _compare(name, "the prefix it computes", str(tree), computed)
    if configured is not None:
        _compare(name, "the prefix in its configuration", str(prefix), configured)


def needs_wrapper(interpreter: Path, tree: Path, name: str, scratch: Path) -> bool:
    """Tell whether a link to `interpreter` of `tree` makes virtual environments that do not start.

    A virtual environment names the directory of `sys._base_executable` as its home, where the
    interpreter looks for its library. Started through a link elsewhere, python-build-standalone's
    give their own directory; CPython as it is gives that of the link, beside which there is no
    library. So it is tried: a link, and a virtual environment as `venv` would make it.

    Args:
        interpreter: an interpreter that has passed `smoke_test`.
        tree: where it stands.
        name: its key.
        scratch: a path on the same file system for what is tried; it is removed again.

    Raises:
        HostError: the links cannot be made.
    """
    import subprocess

    with host_errors("cannot try a link to an interpreter"), unwritten(tree, name):
        try:
            link = scratch / "bin" / interpreter.name
            link.parent.mkdir(parents=True)
            link.symlink_to(interpreter)
            base = _run(link, _BASE).stdout.decode("utf-8", "surrogateescape").rstrip("\n")
            if not Path(base).is_file():
                return True
            if _same_directory(str(Path(base).parent), interpreter.parent):
                return False
            return not _serves(Path(base), scratch / "venv", tree)
        except (subprocess.TimeoutExpired, ValueError):
            return True
        finally:
            if scratch.is_dir():
                remove_tree(scratch)


def _serves(base: Path, environment: Path, tree: Path) -> bool:
    """Tell whether a virtual environment with the base `base` starts and finds `tree`."""
    program = environment / "bin" / base.name
    program.parent.mkdir(parents=True)
    program.symlink_to(base)
    (environment / "pyvenv.cfg").write_bytes(b"home = " + os.fsencode(base.parent) + b"\n")
    found = _run(program, _PREFIX)
    text = found.stdout.decode("utf-8", "surrogateescape").rstrip("\n")
    return found.returncode == 0 and _same_directory(text, tree)


def _run(program: Path, question: str) -> "subprocess.CompletedProcess[bytes]":
    """Let an interpreter answer; it sees none of the caller's environment."""
    import subprocess

    return _patiently(
        lambda: subprocess.run(
            _command(program, question),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
            cwd=program.parent,
            env=_ENVIRONMENT,
        )
    )


def _patiently(start: Callable[[], _Started]) -> _Started:
    """Start a process, when there can be one."""
    heed_children()
    for _ in range(_TRIES - 1):
        try:
            return start()
        except BlockingIOError:  # EAGAIN
            time.sleep(_PAUSE_SECONDS)
    return start()


def _command(program: Path, question: str, *options: str) -> list[str]:
    return [str(program), "-I", "-B", *options, "-c", question]


def _asked(interpreter: Path, name: str) -> "subprocess.Popen[bytes]":
    """Start the interpreter with the question."""
    import subprocess

    try:
        return _patiently(
            lambda: subprocess.Popen(
                # Without `site`: what packages do at the start is no question to the interpreter.
                _command(interpreter, _QUESTION, "-S"),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=interpreter.parent,
                env=_ENVIRONMENT,
            )
        )
    except OSError as error:
        said = f"the interpreter of {name} cannot be started: {error.strerror or error}"
        if error.errno in {EAGAIN, ENOMEM}:
            hint = "may this user start no more processes (ulimit -u), or is there no memory?"
            raise Scarce(said, hint=hint) from error
        hint = "is the prefix on a file system mounted noexec, or a library missing?"
        raise HostError(said, hint=hint) from error


def _take_answer(process: "subprocess.Popen[bytes]", name: str) -> bytes:
    """Return what the interpreter prints."""
    import subprocess

    try:
        answer, complaint = process.communicate(timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        raise HostError(
            f"the interpreter of {name} did not answer within {_SECONDS} seconds"
        ) from None
    if process.returncode != 0:
        lines = complaint[-_MESSAGE_LIMIT:].splitlines()[-_MESSAGE_LINES:]
        said = "".join(f"\n  {printable(line)}" for line in lines)
        how = _ending(process.returncode)
        raise HostError(f"the interpreter of {name} does not run on this host: {how}{said}")
    return answer


def _ending(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"exit status {code}"


def _same_directory(computed: str, tree: Path) -> bool:
    try:
        return tree.samefile(computed)
    except OSError:
        return False


def _compare(name: str, what: str, expected: str, computed: str) -> None:
    if expected != computed:
        raise Damaged(
            mismatch(f"{name} disagrees about {what}", printable(expected), printable(computed))
        )
