"""What relocation does with the members of an archive, and which compiled files it outdates."""

import re
from collections.abc import Sequence

from sealift_bundler.inspection_scan import FILE_LIMIT
from sealift_bundler.inspection_tree import Placed
from sealift_bundler.relocation import Kept, Rewrite, always_rewritten, binary_reason, relocate
from sealift_bundler.relocation.recipes import LARGE
from sealift_schemas.lock import LockedArchive

STALE = "compiled from a source that is rewritten; Python compiles it anew"
_COMPILED = re.compile(r"(?P<folder>.*/|)__pycache__/(?P<module>[^/.]+)\.[^/]*\.pyc")


def relocate_members(archive: LockedArchive, placed: Sequence[Placed]) -> dict[str, Rewrite | str]:
    """Return by path the rewritten files, and for others that name the prefix why they are kept.

    Compiled files of rewritten modules are dropped.
    """
    if archive.prefix is None:
        return {}
    outcomes: dict[str, Rewrite | str] = {}
    for item in placed:
        if item.path is None or item.member.type != "file":
            continue
        outcome = _relocate(archive, item.path, item, archive.prefix)
        if outcome is not None:
            outcomes[item.path] = outcome
    rewritten = {path for path, outcome in outcomes.items() if isinstance(outcome, Rewrite)}
    for item in placed:
        if item.path is not None and _source(item.path) in rewritten:
            outcomes.pop(item.path, None)
            item.drop(STALE)
    return outcomes


def _relocate(archive: LockedArchive, path: str, item: Placed, prefix: str) -> Rewrite | str | None:
    member = item.member
    if not member.names_prefix and not always_rewritten(archive.recipe, path):
        return None
    if member.data is not None:
        outcome = relocate(archive.recipe, path, member.data, prefix)
        if isinstance(outcome, Kept):
            return outcome.reason if member.names_prefix else None
        return outcome
    if member.binary or member.size <= FILE_LIMIT:
        return binary_reason(archive.recipe, path) if member.names_prefix else None
    return LARGE


def _source(path: str) -> str | None:
    """Return the module that the compiled file `path` is of, by PEP 3147 or beside it."""
    if not path.endswith(".pyc"):
        return None
    match = _COMPILED.fullmatch(path)
    return path[:-1] if match is None else f"{match['folder']}{match['module']}.py"
