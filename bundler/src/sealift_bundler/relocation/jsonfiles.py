"""JSON files that name the prefix: `_sysconfig_vars_*.json`, `build-details.json` (PEP 739).

Everything but the strings that change stays as it stands, byte for byte.
"""

import json
import re
from collections.abc import Callable

from sealift_bundler.relocation.pieces import Hole, Rewrite, decode, rewrite
from sealift_bundler.relocation.sysconfig import normal_value
from sealift_bundler.relocation.words import cut_value

_STRING = r'"(?:[^"\\\x00-\x1f]|\\.)*"'
# A string, and the key before it where it is a member's value.
_MEMBER = re.compile(rf"(?:(?P<key>{_STRING})(?P<colon>\s*:\s*))?(?P<value>{_STRING})")


def rewrite_variables(data: bytes, prefix: str) -> Rewrite | None:
    """Rewrite variables of the build by the rules of `_sysconfigdata_*.py`; None if no JSON."""
    return _rewrite(data, prefix, normal_value)


def rewrite_json(data: bytes, prefix: str) -> Rewrite | None:
    """Rewrite any JSON file that was made for `prefix`; None if it is no JSON."""
    return _rewrite(data, prefix, lambda _, value: value)


def _rewrite(data: bytes, prefix: str, normal: Callable[[str, str], str]) -> Rewrite | None:
    try:
        text = data.decode("utf-8")
        json.loads(text)
    except (ValueError, RecursionError):
        return None
    pieces: list[str | Hole] = []
    end = 0
    for match in _MEMBER.finditer(text):
        key = match["key"]
        value = json.loads(match["value"])
        name = "" if key is None else json.loads(key)
        # A string that is followed by a colon is a key without a string as its value.
        cleaned = value if key is None else normal(name, value)
        cuts = cut_value(name, cleaned, prefix, "json")
        if cleaned == value and len(cuts) == 1:
            continue
        pieces += [text[end : match.start("value")], '"']
        pieces += [piece if isinstance(piece, Hole) else json.dumps(piece)[1:-1] for piece in cuts]
        pieces.append('"')
        end = match.end("value")
    return rewrite((*pieces, decode(text[end:].encode("utf-8"))))
