"""sealift.toml: read with the place of every error, edited without losing a comment."""

import codecs
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AoT, Table

from sealift_bundler.schema import Issue, find_issues
from sealift_bundler.turns import turn, write_synced
from sealift_installer.errors import UsageError, host_errors, printable
from sealift_schemas.spec import Spec
from sealift_schemas.strictjson import DocumentError, shorten

NAME = "sealift.toml"
# A spec of 10,000 archives has about 1 MiB.
LIMIT = 16 * 1024 * 1024
_LARGEST = 2**53 - 1
# In one line; no address has as many characters.
_DOTS = 8000


def read_spec(path: Path) -> Spec:
    """Read the spec at `path`.

    Raises:
        UsageError: it is no TOML, or not what the schema describes; the message names the file,
            the line and the key of everything that is wrong.
        HostError: it cannot be read.
    """
    text = _read(path)
    try:
        values = tomllib.loads(text)
        absurd = _find_absurd(values)
    except (ValueError, RecursionError) as error:
        # Beside its own errors it hands on those of numbers too long and of tables too deep.
        raise UsageError(f"{path} is not TOML: {printable(str(error))}") from None
    if absurd:
        raise _wrong(path, text, absurd)
    try:
        # As strict as the schema, and much quicker with thousands of tables.
        return Spec.from_json(values, NAME)
    except DocumentError as error:
        # The schema finds everything that is wrong at once, but for what no schema can say.
        issues = find_issues("spec", values)
        if issues:
            raise _wrong(path, text, issues) from None
        raise UsageError(
            f"{path}: {printable(error.where)}\n"
            f"  Expected: {error.expected}\n  Found: {printable(error.found)}"
        ) from None


def _wrong(path: Path, text: str, issues: Iterable[Issue]) -> UsageError:
    return UsageError("\n".join(_message(path, text, issue) for issue in issues))


def append_tables(path: Path, added: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """Append `[[name]]` with its values for each of `added` to the spec at `path`.

    The rest of the file stays as it is; all of them are added or none.

    Raises:
        UsageError: the result would break the schema; the file is then unchanged.
        HostError: it cannot be read or written.
    """
    with turn(path.parent):
        document = _document(path)
        for name, values in added:
            _append_table(document, name, values, path)
        _write(path, tomlkit.dumps(document))


def _append_table(
    document: tomlkit.TOMLDocument, name: str, values: Mapping[str, Any], path: Path
) -> None:
    table = tomlkit.table()
    for key, value in values.items():
        table.add(key, _item(value))
    table.add(tomlkit.nl())
    tables = document.get(name)
    if tables is None:
        tables = tomlkit.aot()
        _add_blank_line(document)
        document.append(name, tables)
    if not isinstance(tables, AoT):
        raise UsageError(f"{path}: `{name}` is no array of tables; write [[{name}]] tables")
    tables.append(table)


def add_keys(path: Path, keys: Sequence[str], name: str = "keys") -> None:
    """Add `keys` (references of signers) to `signing.keys`, or `name`, where they are missing.

    Raises:
        UsageError: the result would break the schema; the file is then unchanged.
        HostError: it cannot be read or written.
    """
    with turn(path.parent):
        document = _document(path)
        signing = document.get("signing")
        if signing is None:
            signing = tomlkit.table()
            _add_blank_line(document)
            document["signing"] = signing
        if not isinstance(signing, Table):
            raise UsageError(f"{path}: `signing` is no table; write [signing]")
        listed = signing.setdefault(name, [])
        listed.extend(key for key in keys if key not in listed)
        _write(path, tomlkit.dumps(document))


def remove_keys(path: Path, keys: Sequence[str], name: str = "keys") -> None:
    """Take `keys` out of `signing.keys`, or `name`, where they are listed.

    Raises:
        UsageError: the result would break the schema; the file is then unchanged.
        HostError: it cannot be read or written.
    """
    with turn(path.parent):
        document = _document(path)
        listed = document.get("signing", {}).get(name, [])
        for key in keys:
            if key in listed:
                listed.remove(key)
        _write(path, tomlkit.dumps(document))


def find_line(text: str, path: Sequence[str | int]) -> int | None:
    """Return the line (from 1) on which the value at `path` stands, or its nearest parent.

    Tables are found by their headers and keys by their names; that is how people write this file.
    """
    if not path or not isinstance(path[0], str):
        return None
    lines = text.splitlines()
    top, number = path[0], path[1] if len(path) > 1 and isinstance(path[1], int) else 0
    starts = [
        line
        for line, content in enumerate(lines, start=1)
        if re.match(rf"\s*\[\[?\s*\"?{re.escape(top)}\"?\s*[].]", content)
    ]
    if not starts or number >= len(starts):
        end = next((i for i, line in enumerate(lines) if line.lstrip().startswith("[")), len(lines))
        return _key_line(lines, top, 0, end)
    start = starts[number]
    keys = [part for part in path[1:] if isinstance(part, str)]
    end = next(
        (i for i in range(start, len(lines)) if lines[i].lstrip().startswith("[[")), len(lines)
    )
    found = [_key_line(lines, key, start, end) for key in keys]
    return next((line for line in reversed(found) if line is not None), start)


def _key_line(lines: list[str], key: str, start: int, end: int) -> int | None:
    pattern = re.compile(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=")
    return next((i + 1 for i in range(start, end) if pattern.match(lines[i])), None)


def _find_absurd(value: Any, place: tuple[str | int, ...] = ()) -> list[Issue]:
    """Return what no schema has to look at.

    That is text with a NUL, which no system takes in a name, and numbers that Python would not
    even write into a message.
    """
    if isinstance(value, Mapping):
        return [one for key, each in value.items() for one in _find_absurd(each, (*place, key))]
    if isinstance(value, list):
        return [one for n, each in enumerate(value) for one in _find_absurd(each, (*place, n))]
    if isinstance(value, str) and "\0" in value:
        return [Issue(place, "text without NUL", shorten(value))]
    huge = isinstance(value, int) and abs(value) > _LARGEST
    return [Issue(place, f"an integer of at most {_LARGEST}", "a larger one")] if huge else []


def _document(path: Path) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(_read(path))
    except TOMLKitError as error:
        raise UsageError(f"{path} is not TOML: {printable(str(error))}") from None


def _add_blank_line(document: tomlkit.TOMLDocument) -> None:
    if not tomlkit.dumps(document).endswith("\n\n"):
        document.add(tomlkit.nl())


def _message(path: Path, text: str, issue: Issue) -> str:
    line = find_line(text, issue.path)
    place = issue.place("")[1:] or "the whole file"
    # Who writes a password into the table of the network should not find it in a log as well.
    secret = issue.path[:1] == ("network",) and "@" in issue.found
    found = "an address with credentials" if secret else printable(issue.found)
    return (
        f"{path}{'' if line is None else f', line {line}'}: {printable(place)}\n"
        f"  Expected: {issue.expected}\n  Found: {found}"
    )


def _item(value: Any) -> Any:
    if isinstance(value, Mapping):
        inline = tomlkit.inline_table()
        inline.update(dict(value))
        return inline
    return list(value) if isinstance(value, tuple) else value


def _read(path: Path) -> str:
    with host_errors("cannot read the spec"), path.open("rb") as file:
        data = file.read(LIMIT + 1)
    if len(data) > LIMIT:
        raise UsageError(f"{path} is larger than {LIMIT} bytes")
    if data.startswith(codecs.BOM_UTF8):
        raise UsageError(
            f"{path} is not TOML: it begins with a byte order mark",
            hint="save it as UTF-8 without one",
        )
    # With each dot of a key TOML's reader takes longer for the next one.
    if any(line.count(b".") > _DOTS for line in data.splitlines()):
        raise UsageError(f"{path} is not TOML: a line with more than {_DOTS} dots")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8: an invalid byte at offset {error.start}") from None


def _write(path: Path, text: str) -> None:
    """Put `text` in place by a rename, once it is known to be a spec."""
    new = path.with_name(f".{path.name}.new")
    with host_errors("cannot write the spec"):
        try:
            write_synced(new, (text.encode(),))
            read_spec(new)
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)
