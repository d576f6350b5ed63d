"""PKCS #11 URIs, as RFC 7512 describes them: which key on which token, and by which module."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, unquote_to_bytes

from sealift_installer.errors import UsageError, printable

SCHEME = "pkcs11:"
# Attributes of the path by which a slot and its token are told from others (RFC 7512, 2.3).
TOKEN_ATTRIBUTES = ("token", "serial", "manufacturer", "model", "slot-id", "slot-description")
_OBJECT_ATTRIBUTES = ("object", "id", "type")
_QUERY_ATTRIBUTES = ("module-path", "pin-source")
# What follows may be a PIN, also where one has no place. It is not repeated in a message.
_SECRET = re.compile(r"(pin-?[a-z]*=)[^;&?]*", re.IGNORECASE)
_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class TokenUri:
    """A key on a token: `token` by the attributes of the path, the key by label and id."""

    token: dict[str, str] = field(default_factory=dict)
    label: str | None = None
    identifier: bytes | None = None
    module: Path | None = None
    pin_source: Path | None = None


def parse_uri(text: str) -> TokenUri:
    """Read a URI such as `pkcs11:token=sealift;object=release?module-path=/usr/lib/m.so`.

    Raises:
        UsageError: it is none, holds a PIN, or selects by an attribute that is not known here.
    """
    path, _, query = text.removeprefix(SCHEME).partition("?")
    if "pin-value=" in text.lower():
        raise UsageError(
            "a signer must not hold its PIN: leave pin-value out of the pkcs11 URI",
            hint="it is asked for, or stands in a file: pin-source=file:/PATH",
        )
    attributes = _pairs(path, ";", text)
    queries = _pairs(query, "&", text)
    for name in attributes:
        if name not in (*TOKEN_ATTRIBUTES, *_OBJECT_ATTRIBUTES) and not name.startswith("x-"):
            known = ", ".join((*TOKEN_ATTRIBUTES, *_OBJECT_ATTRIBUTES))
            raise _wrong(text, f"one of {known}", name)
    for name in queries:
        if name not in _QUERY_ATTRIBUTES and not name.startswith("x-"):
            raise _wrong(text, f"one of {', '.join(_QUERY_ATTRIBUTES)}", name)
    if attributes.get("type", "private") != "private":
        raise _wrong(text, "type=private", f"type={attributes['type']}")
    if "object" not in attributes and "id" not in attributes:
        raise _wrong(text, "object=LABEL or id=%01, which names the key", "neither")
    return TokenUri(
        {name: unquote(attributes[name]) for name in TOKEN_ATTRIBUTES if name in attributes},
        unquote(attributes["object"]) if "object" in attributes else None,
        unquote_to_bytes(attributes["id"]) if "id" in attributes else None,
        Path(unquote(queries["module-path"])) if "module-path" in queries else None,
        _pin_source(unquote(queries["pin-source"]), text) if "pin-source" in queries else None,
    )


def _pairs(part: str, separator: str, text: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for item in filter(None, part.split(separator)):
        name, equals, value = item.partition("=")
        if not equals or _PERCENT.search(value):
            raise _wrong(text, f"NAME=VALUE{separator}NAME=VALUE, with % as %25", item)
        if name != "id" and not _is_text(value):
            raise _wrong(text, f"UTF-8 without NUL as the {name}", value)
        if name in pairs:
            raise _wrong(text, "each attribute once", name)
        pairs[name] = value
    return pairs


def _is_text(value: str) -> bool:
    """Tell whether a value, percent-encoded as it is, can be a name of something."""
    try:
        return "\0" not in unquote_to_bytes(value).decode("utf-8")
    except UnicodeError:
        return False


def _pin_source(value: str, text: str) -> Path:
    """Return the file that a pin-source names: a file URI or an absolute path."""
    path = value.removeprefix("file:")
    if path.startswith("//"):
        path = path.removeprefix("//localhost").removeprefix("//")
    if not path.startswith("/"):
        raise _wrong(text, "pin-source=file:/PATH", f"pin-source={value}")
    return Path(path)


def _wrong(text: str, expected: str, found: str) -> UsageError:
    shown, instead = (printable(_SECRET.sub(r"\1...", part)) for part in (text, found))
    return UsageError(
        f"not a signer: {shown}\n  Expected: {expected}\n  Found: {instead}",
        hint="RFC 7512: pkcs11:token=LABEL;object=LABEL?module-path=/PATH/TO/MODULE.so",
    )
