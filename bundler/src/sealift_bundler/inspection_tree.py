"""The installed tree as the members make it: one thing at each path, links that stay inside."""

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass

from sealift_bundler.inspection_layout import OUTSIDE, TOP, Layout
from sealift_bundler.inspection_scan import Scanned
from sealift_installer.archives import check_link, check_links, check_path
from sealift_installer.errors import Damaged, printable

REPLACED = "a later member has the same path"
AGAIN = "the folder is there already"


@dataclass(slots=True)
class Placed:
    """A member and its place in the installed tree; without a path it is not installed.

    `link` is what a link is made to point to, or the installed path that a hard link shares.
    """

    member: Scanned
    path: str | None
    dropped: str | None = None
    link: str | None = None

    def drop(self, reason: str) -> None:
        """Leave the member out."""
        self.path, self.dropped = None, reason


def place_members(members: Sequence[Scanned], layout: Layout, prefix: str | None) -> list[Placed]:
    """Return `members` with their places: the last one of several with the same path counts.

    Raises:
        Damaged: two members are in each other's way, or a link leaves the tree.
    """
    placed = [_place(member, layout) for member in members]
    _drop_replaced(placed)
    _check_folders(placed)
    _aim_links(placed, layout, prefix)
    _aim_hardlinks(placed)
    return placed


def _place(member: Scanned, layout: Layout) -> Placed:
    path = layout.place(member.name)
    if path:
        check_path(path)
        return Placed(member, path)
    folder = path is not None and member.type == "directory"
    return Placed(member, None, TOP if folder else OUTSIDE)


def _drop_replaced(placed: Sequence[Placed]) -> None:
    last: dict[str, Placed] = {}
    for item in placed:
        if item.path is None:
            continue
        earlier = last.get(item.path)
        if earlier is not None:
            folders = (earlier.member.type == "directory", item.member.type == "directory")
            if folders == (True, True):
                item.drop(AGAIN)
                continue
            if any(folders):
                raise Damaged(f"'{printable(item.path)}' is a folder and something else as well")
            earlier.drop(REPLACED)
        last[item.path] = item


def _check_folders(placed: Sequence[Placed]) -> None:
    """Check that whatever has something below it is a folder, and neither a file nor a link."""
    types = {item.path: item.member.type for item in placed if item.path is not None}
    seen: set[str] = set()
    for path in types:
        folder = path
        while "/" in folder:
            folder = folder.rpartition("/")[0]
            if folder in seen:
                break
            seen.add(folder)
            if types.get(folder, "directory") != "directory":
                raise Damaged(
                    f"'{printable(path)}' stands below '{printable(folder)}', which is a "
                    f"{types[folder]}"
                )


def _aim_links(placed: Sequence[Placed], layout: Layout, prefix: str | None) -> None:
    links = {}
    for item in placed:
        if item.path is None or item.member.type != "link":
            continue
        item.link = _link_target(item.path, item.member, layout, prefix)
        check_link(item.path, item.link)
        links[item.path] = item.link
    check_links(links)


def _link_target(path: str, member: Scanned, layout: Layout, prefix: str | None) -> str:
    """Return the target with which the link works from where it is installed."""
    target = member.target
    folder = posixpath.dirname(path)
    if prefix is not None and (target == prefix or target.startswith(f"{prefix}/")):
        return posixpath.relpath(target.removeprefix(prefix).strip("/") or ".", folder or ".")
    if target.startswith("/"):
        return target
    # Read as text, in the archive: folders that are taken off may stand on the way.
    aim = posixpath.normpath(posixpath.join(posixpath.dirname(member.name), target))
    installed = None if aim.startswith("..") else layout.place(aim)
    if installed is None or installed == posixpath.normpath(posixpath.join(folder, target)):
        return target
    return posixpath.relpath(installed or ".", folder or ".")


def _aim_hardlinks(placed: Sequence[Placed]) -> None:
    """Find for each hard link the file whose bytes it shares: an earlier member, as tar has it."""
    files: dict[str, Placed] = {}
    for item in placed:
        member = item.member
        if member.type == "file":
            files[member.name] = item
        elif member.type == "hardlink":
            shared = files.get(member.target)
            if shared is None:
                raise Damaged(
                    f"the hard link '{printable(member.name)}' shares no earlier file: "
                    f"'{printable(member.target)}'"
                )
            if item.path is None:
                continue
            if shared.path is None:
                raise Damaged(
                    f"the hard link '{printable(member.name)}' shares a file that is not "
                    f"installed: '{printable(member.target)}'"
                )
            files[member.name] = shared
            item.link = shared.path
        else:
            files.pop(member.name, None)
