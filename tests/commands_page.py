"""Writes docs/reference/commands.md from the parsers of both programs.

    python tests/commands_page.py

What a command means stands in its help; what it is for stands on the page that SEE names.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sealift_installer.cli.arguments import COMMANDS, parse

PAGE = Path(__file__).resolve().parents[1] / "docs/reference/commands.md"
HEAD = """\
# Commands

Every command of `sealift` and of `unseal`, with all arguments and options. `make commands` writes \
this page from the parsers of both programs; do not edit it. Every command has `--help` too, which \
says the same.

[Exit codes](exit-codes.md) are the same for both programs. Reports and results go to stdout, \
progress and errors to stderr. With `--json` stdout has one JSON document and nothing else.
"""
PROGRAMS = {
    "sealift": """\
## sealift

The bundler, for the connected machine. `sealift --version` prints its version. What it reads from \
the environment is under [variables](#variables).
""",
    "unseal": """\
## unseal

The installer, for the target. It has no network. `unseal --version` prints its version. \
[What it writes where, and what its JSON is](unseal.md), has a page of its own.
""",
}
TAIL = """\
## Variables

| variable | read by | meaning |
| --- | --- | --- |
"""
VARIABLES = {
    "SEALIFT_CACHE_DIR": ("`sealift`", "where [the cache](cache.md) is"),
    "SOURCE_DATE_EPOCH": ("`sealift`", "the time of a new lock, in seconds since 1970"),
    "PKCS11_MODULE_PATH": ("`sealift`", "the module of a token, where its URI names none"),
    "UV_PYTHON_DOWNLOADS_JSON_URL": (
        "`sealift`",
        "the catalogue of Pythons, [where the spec names none](../adr/0009-which-catalogue-counts.md)",
    ),
    "UV_PYTHON_INSTALL_MIRROR": ("`sealift`", "[mirror](../how-to/from-a-mirror.md) of CPython"),
    "UV_PYPY_INSTALL_MIRROR": ("`sealift`", "mirror of PyPy"),
    "UV_GRAALPY_INSTALL_MIRROR": ("`sealift`", "mirror of GraalPy"),
    "UV_PYODIDE_INSTALL_MIRROR": ("`sealift`", "mirror of Pyodide"),
    "UV_CONCURRENT_DOWNLOADS": ("`sealift`", "[downloads](downloads.md#settings) at a time"),
    "UV_HTTP_TIMEOUT": ("`sealift`", "seconds without a byte"),
    "UV_HTTP_CONNECT_TIMEOUT": ("`sealift`", "seconds for a connection"),
    "UV_HTTP_RETRIES": ("`sealift`", "further attempts"),
    "HTTPS_PROXY": ("`sealift`", "[the proxy](../how-to/behind-a-proxy.md); `HTTP_PROXY` too"),
    "NO_PROXY": ("`sealift`", "hosts that are reached without it"),
    "SSL_CERT_FILE": ("`sealift`", "the authorities to be trusted; `REQUESTS_CA_BUNDLE` too"),
    "NETRC": ("`sealift`", "a file in the place of `~/.netrc`"),
    "PIP_INDEX_URL": (
        "`sealift`",
        "the package index, and so with the other settings of pip, in its files too",
    ),
    "SEALIFT_DEBUG": ("`sealift`", "a traceback with each error, if it is not empty"),
    "XDG_CACHE_HOME": ("`sealift`", "where the user's cache directory is, on Linux"),
    "XDG_DATA_HOME": ("`unseal`", "where the default prefix is, for users other than root"),
}
# The page where each command is put to use.
SEE = {
    "sealift init": "../tutorial/first-bundle.md",
    "sealift search": "../how-to/several-platforms.md",
    "sealift add": "spec-and-lock.md",
    "sealift lock": "spec-and-lock.md",
    "sealift build": "../tutorial/first-bundle.md",
    "sealift sign": "../how-to/sign-on-another-machine.md",
    "sealift seal": "../how-to/sign-on-another-machine.md",
    "sealift verify": "../how-to/check-the-evidence.md",
    "sealift inspect": "../explanation/relocation.md",
    "sealift diff": "../how-to/several-platforms.md",
    "sealift report": "../how-to/write-a-report.md",
    "sealift key new": "keys-and-roots.md",
    "sealift key show": "keys-and-roots.md",
    "sealift root init": "../how-to/several-signers.md",
    "sealift root rotate": "../how-to/rotate-a-key.md",
    "sealift root sign": "../how-to/several-signers.md",
    "sealift root merge": "../how-to/several-signers.md",
    "sealift root show": "../how-to/several-signers.md",
    "sealift receipts verify": "../how-to/keep-receipts.md",
    "sealift media write": "../how-to/write-a-usb-stick.md",
    "sealift media check": "../how-to/write-a-usb-stick.md",
    "sealift cache dir": "cache.md",
    "sealift cache list": "cache.md",
    "sealift cache verify": "cache.md",
    "sealift cache prune": "cache.md",
    "unseal verify": "../how-to/install-the-next-bundle.md",
    "unseal inspect": "../how-to/install-the-next-bundle.md",
    "unseal preflight": "../how-to/install-the-next-bundle.md",
    "unseal install": "../how-to/install-the-next-bundle.md",
    "unseal list": "../tutorial/first-bundle.md",
    "unseal check": "../how-to/check-and-repair.md",
    "unseal repair": "../how-to/check-and-repair.md",
    "unseal activate": "../how-to/check-and-repair.md",
    "unseal rollback": "../how-to/check-and-repair.md",
    "unseal relocate": "../how-to/check-and-repair.md",
    "unseal uninstall": "../how-to/check-and-repair.md",
    "unseal report": "../how-to/write-a-report.md",
    "unseal trust import": "../how-to/first-step-on-a-target.md",
    "unseal trust show": "../how-to/site-policy-on-a-target.md",
    "unseal trust remove": "../how-to/site-policy-on-a-target.md",
    "unseal receipts list": "../how-to/keep-receipts.md",
    "unseal receipts verify": "../how-to/keep-receipts.md",
    "unseal receipts export": "../how-to/keep-receipts.md",
    "unseal receipts key new": "../how-to/keep-receipts.md",
    "unseal receipts key show": "../how-to/keep-receipts.md",
}


@dataclass(frozen=True)
class Row:
    """An argument or option: as it is written, whether it must be given, and what it means."""

    written: str
    required: bool
    meaning: str


@dataclass(frozen=True)
class Command:
    """A command that does something: its whole name, its help, its arguments and its options."""

    name: str
    text: str
    arguments: tuple[Row, ...]
    options: tuple[Row, ...]


def list_sealift() -> Iterator[Command]:
    """Yield the commands of `sealift` in the order of its help."""
    import typer.main

    from sealift_bundler.cli.main import app

    yield from _walk_typer(typer.main.get_command(app), "sealift")


def _walk_typer(command, name: str) -> Iterator[Command]:
    if hasattr(command, "commands"):
        for word, one in command.commands.items():
            yield from _walk_typer(one, f"{name} {word}")
        return
    rows = [(each.opts[0].startswith("-"), _row_of_typer(each, name)) for each in command.params]
    yield Command(
        name,
        command.help,
        tuple(row for is_option, row in rows if not is_option),
        tuple(row for is_option, row in rows if is_option),
    )


def _row_of_typer(each, name: str) -> Row:
    said = isinstance(each.default, str | Path)
    default = f". Default: `{each.default}`." if said else ""
    if not each.opts[0].startswith("-"):
        assert each.metavar, f"{name}: an argument has no metavar: {each.opts}"
        word = each.metavar + ("..." if each.nargs == -1 else "")
        written = word if each.required else f"[{word}]"
        return Row(written, each.required, each.help.rstrip(".") + default)
    written = ", ".join(f"`{option}`" for option in [*each.opts, *each.secondary_opts])
    if not each.is_flag:
        assert each.metavar, f"{name}: an option has no metavar: {each.opts}"
        written = ", ".join(f"`{option} {each.metavar}`" for option in each.opts)
    again = " Repeatable." if each.multiple and "epeat" not in each.help else ""
    return Row(written, each.required, (each.help + again).rstrip(".") + default)


def list_unseal() -> Iterator[Command]:
    """Yield the commands of `unseal` in the order of its help.

    Only the module of the command that is wanted is described, so each is asked for by itself.
    """
    made: list[argparse.ArgumentParser] = []
    real = argparse.ArgumentParser.parse_known_args

    def keep(parser, *_: object):
        made.append(parser)
        raise StopIteration

    argparse.ArgumentParser.parse_known_args = keep
    try:
        for name in COMMANDS:
            try:
                parse([name])
            except StopIteration:
                yield from _walk_argparse(_actions(made[-1])[name], f"unseal {name}")
    finally:
        argparse.ArgumentParser.parse_known_args = real


def _actions(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the commands of a parser by name, none where it does something itself."""
    return {
        name: one
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
        for name, one in action.choices.items()
    }


def _walk_argparse(parser: argparse.ArgumentParser, name: str) -> Iterator[Command]:
    commands = _actions(parser)
    for word, one in commands.items():
        yield from _walk_argparse(one, f"{name} {word}")
    if not commands:
        hidden = {"--help", "--debug"}
        seen = [each for each in parser._actions if hidden.isdisjoint(each.option_strings)]
        yield Command(
            name,
            parser.description or "",
            tuple(_row_of_argparse(each) for each in seen if not each.option_strings),
            tuple(_row_of_argparse(each) for each in seen if each.option_strings),
        )


def _row_of_argparse(each: argparse.Action) -> Row:
    text = each.help or ""
    if not each.option_strings:
        word = f"{each.metavar}..." if each.nargs == "*" else str(each.metavar)
        return Row(f"[{word}]" if each.nargs in {"*", "?"} else word, each.nargs is None, text)
    value = ""
    if each.nargs != 0:
        value = f" {each.metavar or '|'.join(each.choices or ())}"
    names = sorted(each.option_strings, key=len, reverse=True)
    return Row(", ".join(f"`{name}{value}`" for name in names), each.required, text)


def list_commands() -> list[Command]:
    """Return the commands of both programs."""
    return [*list_sealift(), *list_unseal()]


def write_page(commands: Sequence[Command]) -> str:
    """Return the page."""
    parts = [HEAD]
    for program, text in PROGRAMS.items():
        own = [each for each in commands if each.name.startswith(f"{program} ")]
        common = [row for row in own[0].options if all(row in each.options for each in own)]
        names = ", ".join(f"[`{each.name}`](#{each.name.replace(' ', '-')})" for each in own)
        parts += [text, f"{names}.\n"]
        if common:
            parts.append(f"Every command of `{program}` has:\n\n{write_table(common, 'option')}")
        parts += [write_command(each, common) for each in own]
    rows = (f"| `{name}` | {who} | {what} |\n" for name, (who, what) in VARIABLES.items())
    return "\n".join([*parts, TAIL + "".join(rows)])


def write_command(command: Command, common: Sequence[Row]) -> str:
    """Return the section of one command, without the options that all have."""
    usage = " ".join(
        [
            command.name,
            *(row.written for row in command.arguments),
            *(row.written.split(",")[0].strip("`") for row in command.options if row.required),
        ]
    )
    text = command.text[0].upper() + command.text[1:].rstrip(".")
    rows = [*command.arguments, *(row for row in command.options if row not in common)]
    table = "\n" + write_table(rows, "argument or option") if rows else ""
    page = SEE[command.name]
    title = (PAGE.parent / page).read_text("utf-8").partition("\n")[0].removeprefix("# ")
    return f"### {command.name}\n\n`{usage}`\n\n{text}. See [{title}]({page}).\n{table}"


def write_table(rows: Sequence[Row], what: str) -> str:
    """Return a table of arguments or options."""
    lines = (f"| {_code(row.written)} | {_cell(row.meaning)} |\n" for row in rows)
    return f"| {what} | meaning |\n| --- | --- |\n" + "".join(lines)


def _code(written: str) -> str:
    return _cell(written if written.startswith("`") else f"`{written}`")


def _cell(text: str) -> str:
    return text.rstrip(".").replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(write_page(list_commands()), "utf-8")
