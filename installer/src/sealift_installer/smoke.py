"""Starts an interpreter before it is published, and asks it who it is.

It runs in its staging directory, so the prefix that it computes is that one, while the prefix that
was written into its configuration is already the final one.
"""

import subprocess
from pathlib import Path

from sealift_installer.errors import Damaged, HostError, mismatch, printable
from sealift_schemas.keys import InstallKey
from sealift_schemas.strictjson import DocumentError, Fields, parse

# GraalPy starts a JVM; a slow disk reads a few hundred megabytes.
_SECONDS = 120
_ANSWER_LIMIT = 64 * 1024
_MESSAGE_LINES = 5

# It prints one JSON object. Only CPython's configuration names the prefix as a constant.
_QUESTION = """
import json, sys
version = sys.version_info
level = {"alpha": "a%d", "beta": "b%d", "candidate": "rc%d"}.get(version[3], "")
answer = {
    "implementation": sys.implementation.name,
    "version": "%d.%d.%d" % version[:3] + (level % version[4] if level else ""),
    "prefix": sys.prefix,
    "configured": None,
}
if sys.implementation.name == "cpython" and sys.platform != "win32":
    import sysconfig
    name = sysconfig._get_sysconfigdata_name()
    answer["configured"] = __import__(name).build_time_vars["prefix"]
print(json.dumps(answer))
"""


def smoke_test(interpreter: Path, tree: Path, name: str, prefix: Path) -> None:
    """Start `interpreter` of the staged `tree`, which will stand at `prefix` under the key `name`.

    Raises:
        HostError: it does not start here.
        Damaged: it is another interpreter than the manifest says, or takes another prefix.
    """
    data = _ask(interpreter, tree, name)
    try:
        with Fields(parse(data, what="answer", limit=_ANSWER_LIMIT), "answer") as fields:
            implementation = fields.text("implementation")
            version = fields.text("version")
            computed = fields.text("prefix")
            value = fields.take("configured")
            configured = None if value is None else str(value)
    except DocumentError as error:
        raise Damaged(f"the interpreter of {name} gives no sensible answer: {error}") from None
    key = InstallKey.parse(name)
    _compare(name, "implementation and version", f"{key.implementation} {key.version}",
             f"{implementation} {version}")  # fmt: skip
    if not _same_directory(computed, tree):
        _compare(name, "the prefix it computes", str(tree), computed)
    if configured is not None:
        _compare(name, "the prefix in its configuration", str(prefix), configured)


def _ask(interpreter: Path, tree: Path, name: str) -> bytes:
    """Return what the interpreter prints; it sees none of the caller's environment."""
    try:
        result = subprocess.run(
            [str(interpreter), "-I", "-B", "-c", _QUESTION],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
            cwd=tree,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        )
    except subprocess.TimeoutExpired:
        raise HostError(
            f"the interpreter of {name} did not answer within {_SECONDS} seconds"
        ) from None
    except OSError as error:
        raise HostError(
            f"the interpreter of {name} cannot be started: {error.strerror or error}",
            hint="is the prefix on a file system mounted noexec, or a library missing?",
        ) from error
    if result.returncode != 0:
        lines = result.stderr.splitlines()[-_MESSAGE_LINES:]
        said = "".join(f"\n  {printable(line)}" for line in lines)
        how = _ending(result.returncode)
        raise HostError(f"the interpreter of {name} does not run on this host: {how}{said}")
    return result.stdout


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
