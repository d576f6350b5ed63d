r"""CPython's `_sysconfigdata_*.py`: the variables of the build, as extension modules see them.

The rules are those of uv's own patching, so that uv finds nothing left to do: values lose
`-isysroot` and the word after it, the compilers of the machine that built it become `cc`, `c++` and
`ar`, `PYTHON_BUILD_STANDALONE` is 1, keys are sorted, the text is JSON with four spaces after the
header line. Beyond uv, the prefix is also found in `-I/install/include`, `--prefix=/install` and
quoted words, and is escaped for the shell wherever the value is a command line.
"""

import ast
import json
import warnings
from collections.abc import Mapping

from sealift_bundler.relocation.pieces import Hole, Pieces, Rewrite, decode, rewrite
from sealift_bundler.relocation.words import cut_value

# The generator of CPython writes this line, and uv's reader insists on it.
HEADER = "# system configuration generated and used by the sysconfig module\n"
NAME = "build_time_vars"
# Bytes; a real file has some 60,000. A parsed source takes a hundred times its size in memory.
_LIMIT = 2 * 1024 * 1024
_TRIPLES = (
    "aarch64-linux-gnu", "arm-linux-gnueabi", "arm-linux-gnueabihf", "loongarch64-linux-gnu",
    "mips-linux-gnu", "mipsel-linux-gnu", "powerpc64le-linux-gnu", "riscv64-linux-gnu",
    "s390x-linux-gnu", "x86_64-linux-gnu",
)  # fmt: skip
# The compilers that python-build-standalone builds with, which no target has at these places.
_C = {"clang", "musl-clang", "/usr/bin/riscv64-linux-gnu-clang"} | {
    f"/usr/bin/{triple}-gcc" for triple in _TRIPLES
}
_CXX = {"clang++", "/usr/bin/riscv64-linux-gnu-clang++"} | {
    f"/usr/bin/{triple}-g++" for triple in _TRIPLES
}
_COMPILERS = {
    **{name: dict.fromkeys(_C, "cc") for name in ("CC", "LINKCC", "BLDSHARED", "LDSHARED")},
    **{name: dict.fromkeys(_CXX, "c++") for name in ("CXX", "LDCXXSHARED")},
}


def rewrite_sysconfig(data: bytes, prefix: str) -> Rewrite | None:
    """Rewrite `_sysconfigdata_*.py`, built for `prefix`; None if it is not in its usual form."""
    variables = read_variables(data)
    if variables is None:
        return None
    variables["PYTHON_BUILD_STANDALONE"] = 1
    pieces: list[str | Hole] = [HEADER, f"{NAME} = {{"]
    for number, name in enumerate(sorted(variables)):
        pieces += [f"{',' if number else ''}\n    {json.dumps(name, ensure_ascii=False)}: "]
        pieces += _literal(name, variables[name], prefix)
    return rewrite((*pieces, "\n}\n"))


def read_variables(data: bytes) -> dict[str, str | int] | None:
    """Return the variables of `_sysconfigdata_*.py`, or None if it is anything else."""
    text = decode(data)
    if not text.startswith(HEADER) or len(data) > _LIMIT:
        return None
    try:
        with warnings.catch_warnings():
            # An odd escape in a literal is no business of ours, and nothing is executed.
            warnings.simplefilter("ignore")
            body = ast.parse(text).body
            match body:
                case [ast.Assign(targets=[ast.Name(id=name)], value=ast.Dict() as literal)] if (
                    name == NAME
                ):
                    return _checked(ast.literal_eval(literal))
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return None
    return None


def _checked(value: Mapping[object, object]) -> dict[str, str | int] | None:
    variables: dict[str, str | int] = {}
    for name, setting in value.items():
        if not isinstance(name, str) or type(setting) not in (str, int):
            return None
        assert isinstance(setting, str | int)
        variables[name] = setting
    return variables


def normal_value(name: str, value: str) -> str:
    """Return the value of the variable `name` as a target without the build's compilers needs it.

    White space between words becomes one space, as uv writes it.
    """
    if name == "AR":
        return "ar"
    compilers = _COMPILERS.get(name, {})
    words = iter(value.split())
    kept = []
    for word in words:
        if word == "-isysroot":
            next(words, None)
        else:
            kept.append(compilers.get(word, word))
    return " ".join(kept)


def _literal(name: str, value: str | int, prefix: str) -> Pieces:
    if isinstance(value, int):
        return (str(value),)
    pieces = cut_value(name, normal_value(name, value), prefix, "python-double")
    quoted = [
        piece if isinstance(piece, Hole) else json.dumps(piece, ensure_ascii=False)[1:-1]
        for piece in pieces
    ]
    return ('"', *quoted, '"')
