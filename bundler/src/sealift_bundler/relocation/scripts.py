"""Scripts: those that start the interpreter by its path, and CPython's `python3.X-config`."""

import re

from sealift_bundler.relocation.pieces import Hole, Pieces, Rewrite, decode, rewrite
from sealift_bundler.relocation.words import cut, cut_command

_SHEBANG = re.compile(r"#![ \t]*(?P<program>\S+)(?P<arguments>[^\n]*)\n")
_INTERPRETER = re.compile(r"bin/(?P<name>(?:python|pypy|graalpy)[\w.-]*)")
_SHELLS = re.compile(r"#![ \t]*(?:/usr/bin/env[ \t]+|\S*/)(?:sh|bash|dash|ksh|zsh)\b")
# Lines of python3.X-config that fail where the prefix has spaces or a # in it, and what they mean.
_UNQUOTED = (
    (
        'RESULT=$(dirname $(cd $(dirname "$1") && pwd -P))',
        'RESULT=$(dirname "$(cd "$(dirname "$1")" && pwd -P)")',
    ),
    ("echo $RESULT\n", 'echo "$RESULT"\n'),
    ("LIBDEST=${prefix_real}/", 'LIBDEST="${prefix_real}"/'),
    ("exec_prefix_real=${prefix_real}\n", 'exec_prefix_real="${prefix_real}"\n'),
)
_SED = re.compile(
    r'^(?P<name>[A-Za-z_]+=)\$\(echo "(?P<value>[^"`\\]*)" \| sed "s#\$prefix#\$prefix_real#"\)$',
    re.MULTILINE,
)


def is_shell_script(text: str) -> bool:
    """Tell whether the first line of `text` names a shell."""
    return _SHELLS.match(text) is not None


def cut_shebang(path: str, text: str, prefix: str) -> tuple[Pieces, str] | None:
    """Rewrite the first line of the script `text`, installed as `path`, and return the rest as is.

    The kernel splits such a line at the first space and cuts it at 127 bytes, so a Python script is
    started by sh instead, which finds the interpreter beside it; Python reads those lines as a
    string. python-build-standalone writes its scripts the same way. Outside of a folder of programs
    it is a module with such a line, whose documentation that string would become, so there the
    prefix is put in. None where the first line does not start a program below the prefix.
    """
    match = _SHEBANG.match(text)
    if match is None or not match["program"].startswith(f"{prefix}/"):
        return None
    program = match["program"][len(prefix) + 1 :]
    rest = text[match.end() :]
    folders = path.split("/")[:-1]
    interpreter = _INTERPRETER.fullmatch(program)
    if interpreter is None or folders[-1:] != ["bin"]:
        return ("#!", Hole("raw"), f"/{program}{match['arguments']}\n"), rest
    up = "" if folders == ["bin"] else "../" * len(folders) + "bin/"
    found = f'"$(dirname -- "$(realpath -- "$0")")/{up}{interpreter["name"]}"'
    starts = f"{found} {match['arguments'].strip()}".rstrip()
    return (f"#!/bin/sh\n'''exec' {starts} \"$0\" \"$@\"\n' '''\n",), rest


def rewrite_config_script(data: bytes, prefix: str) -> Rewrite | None:
    """Rewrite `python3.X-config` where it is a shell script; None where it is a Python script.

    It finds its real prefix by its own place. Where it replaces the old one by `sed`, a prefix with
    a `#` in it would break the expression, so the real prefix is named at once.
    """
    text = decode(data)
    if not is_shell_script(text):
        return None
    for broken, quoted in _UNQUOTED:
        text = text.replace(broken, quoted)
    text = _SED.sub(lambda match: match["name"] + '"' + _real(match["value"], prefix) + '"', text)
    return rewrite(_lines(text, prefix))


def rewrite_shell_script(data: bytes, prefix: str) -> Rewrite:
    """Rewrite any shell script, line by line: an apostrophe in a comment ends with its line."""
    return rewrite(_lines(decode(data), prefix))


def _real(value: str, prefix: str) -> str:
    for name in ("prefix", "exec_prefix"):
        value = value.replace(f"${{{name}}}", f"${{{name}_real}}").replace(
            f"${name}/", f"${{{name}_real}}/"
        )
    pieces = cut(value, prefix, lambda _: "raw")
    return "".join("${prefix_real}" if isinstance(piece, Hole) else piece for piece in pieces)


def _lines(text: str, prefix: str) -> list[str | Hole]:
    pieces: list[str | Hole] = []
    for line in text.splitlines(keepends=True):
        if line.startswith("#"):
            pieces += cut(line, prefix, lambda _: "raw")
        else:
            pieces += cut_command(line, prefix, None)
    return pieces
