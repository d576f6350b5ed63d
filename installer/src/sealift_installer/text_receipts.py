"""Receipts and heads as people read them; nothing is printed here."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sealift_installer.errors import printable
from sealift_schemas.receipt import Receipt

_GROUP = 4  # digits of a hash that a person reads at a time
_ROW = 32


def groups(sha256: str) -> Iterator[str]:
    """Yield a SHA-256 in two rows of groups, as it is read aloud and written down."""
    for start in range(0, len(sha256), _ROW):
        row = sha256[start : start + _ROW]
        yield " ".join(row[place : place + _GROUP] for place in range(0, len(row), _GROUP))


def head_lines(head: Mapping[str, Any], before: str = "") -> Iterator[str]:
    """Yield a head for a paper log."""
    yield f"{before}{head['receipts']} receipts of {head['host']}, {head['prefix']}"
    yield f"at {head['clock']}, head:"
    yield from (f"  {row}" for row in groups(head["head"]))


def receipt_lines(receipts: Iterable[Receipt]) -> Iterator[str]:
    """Yield receipts, oldest first, each on a line and what belongs to it below."""
    for receipt in receipts:
        yield f"{receipt.number}  {receipt.clock}  {receipt.action}  {_subject(receipt)}"
        yield f"    {_indent(receipt.detail)}"
        yield f"    by {printable(receipt.user)} on {printable(receipt.host)}{_origin(receipt)}"
        if receipt.floor is not None and receipt.clock < receipt.floor:
            yield f"    the clock was behind a signed time: {receipt.floor}"
        for name, reason in receipt.overrides.items():
            yield f"    override {printable(name)}: {printable(reason)}"


def _subject(receipt: Receipt) -> str:
    if receipt.archive is not None:
        return receipt.archive.name
    if receipt.action == "trust" and receipt.root_version is not None:
        return f"root version {receipt.root_version}"
    return ""


def _origin(receipt: Receipt) -> str:
    bundle = receipt.bundle
    if bundle is None:
        return ""
    epoch = f" of epoch {bundle.epoch}" if bundle.epoch > 1 else ""
    return f", bundle {bundle.sequence} of stream {bundle.stream}{epoch} ({bundle.manifest[:16]})"


def _indent(text: str) -> str:
    """Return a text that unseal wrote into a receipt, its lines one below the other."""
    return "\n    ".join(printable(line) for line in text.split("\n"))
