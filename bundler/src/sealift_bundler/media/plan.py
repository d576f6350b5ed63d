"""Can this medium hold these bundles? Asked before a byte is written, all answers at once.

What a file system does not say by itself (the names that it takes, the names that it does not tell
apart) is found out by trying: see sealift_bundler.media.stage.
"""

import os
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sealift_bundler.draft import LARGEST_FILE, hash_chunks
from sealift_bundler.media.uncached import find_kind
from sealift_bundler.progress import Progress
from sealift_bundler.seal import Verified, verify_bundle
from sealift_bundler.sizes import show_size
from sealift_installer.bundle import ENVELOPE, Bundle
from sealift_installer.errors import HostError, UsageError, host_errors, printable
from sealift_installer.trust.roots import TrustedRoot
from sealift_schemas.payload import BundleFile

# As Linux calls them. fuseblk are ntfs-3g and exfat-fuse.
_FAT = frozenset({"vfat", "msdos", "fuse.fusefat"})
_WINDOWS = _FAT | {"exfat", "fuse.exfat", "ntfs", "ntfs3", "fuseblk", "fuse.lowntfs-3g"}
# Windows opens no such file, whatever comes behind a dot (learn.microsoft.com, "Naming Files").
_DEVICES = frozenset({"con", "prn", "aux", "nul"}) | {
    f"{name}{number}" for name in ("com", "lpt") for number in range(1, 10)
}
_FORBIDDEN = frozenset('<>:"/\\|?*')
# An entry of FAT is 32 bytes, and one more for each 13 characters of a long name.
_ENTRY = 32
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Facts:
    """What a host knows of a medium: sizes in bytes, None where it does not say.

    `kind` is what Linux calls the file system, "" if that is not known; `block` is what the size of
    a file is rounded up to; `entries` is how many files can be made.
    """

    kind: str
    block: int
    free: int | None
    entries: int | None


@dataclass(frozen=True, slots=True)
class Carried:
    """A bundle that was verified, what it is to be called, and its files, the one that counts last.

    The control set has hashes here too, so that all files are written and compared in one way.
    """

    path: Path
    name: str
    verified: Verified
    files: tuple[BundleFile, ...]

    @property
    def bundle(self) -> Bundle:
        """Where its bytes are."""
        return self.verified.authenticated.bundle

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(file.size for file in self.files)


def read_facts(directory: Path) -> Facts:
    """Ask the host about the file system of `directory`.

    Raises:
        HostError: it does not answer.
    """
    with host_errors("cannot ask about the medium"):
        status = os.statvfs(directory)
    # Drivers in user space may leave everything zero.
    known = status.f_blocks > 0
    return Facts(
        kind=find_kind(directory),
        block=max(status.f_frsize, 512),
        free=status.f_bavail * status.f_frsize if known else None,
        entries=status.f_favail if status.f_files else None,
    )


def read_source(
    path: Path, name: str | None, root: TrustedRoot, watch: Progress | None = None
) -> Carried:
    """Verify the bundle at `path` as `sealift verify` does, and list what there is to be copied.

    Args:
        path: where.
        name: what to call it on the medium; None for its own name.
        root: whom to trust.
        watch: is told of each file that is read.

    Raises:
        Untrusted, Damaged, RefusedByPolicy, HostError: as `verify_bundle`.
    """
    verified = verify_bundle(path, root, watch)
    found = verified.authenticated
    # Nothing but regular files is in it: a scan refuses everything else.
    names = found.bundle.scan().sizes.keys() - found.files.keys()
    control = [_describe(found.bundle, each) for each in sorted(names)]
    # Without its envelope nobody takes a directory for a bundle, so this one comes last.
    control.sort(key=lambda file: file.path == ENVELOPE)
    files = (*found.files.values(), *control)
    return Carried(path, name or Path(os.path.abspath(path)).name, verified, files)  # noqa: PTH100 - a link keeps its name


def check_names(bundles: Sequence[Carried]) -> None:
    """Check that no two bundles have one name, or names that a medium may take for one.

    Raises:
        UsageError: two have, or one has the name of what is unfinished.
    """
    seen: dict[str, Carried] = {}
    for carried in bundles:
        if is_unfinished(carried.name):
            raise UsageError(
                f"this is the name of an unfinished bundle: {printable(carried.name)}",
                hint="--name gives it another name",
            )
        other = seen.setdefault(fold(carried.name), carried)
        if other is not carried:
            raise UsageError(
                f"two bundles have one name: {other.path} and {carried.path}",
                hint="write one after the other, and give one another name with --name",
            )


def check_fits(facts: Facts, bundles: Sequence[Carried], there: Sequence[int] = ()) -> None:
    """Check sizes, names and numbers against what is known of the medium.

    Args:
        facts: of the medium.
        bundles: what is to be written.
        there: the sizes of files and directories that an earlier run has left: they are gone on
            with.

    Raises:
        HostError: it names all that the medium cannot hold.
    """
    problems = [
        problem
        for carried in bundles
        for problem in (*_large(facts, carried), *_strange(facts, carried))
    ]
    needed = sum(_room(facts, carried) for carried in bundles)
    needed -= sum(_rounded(size, facts.block) for size in there)
    if facts.free is not None and facts.free < needed:
        problems.append(
            f"room: {show_size(max(needed, 0))} are needed in blocks of {facts.block} bytes, "
            f"{show_size(facts.free)} are free"
        )
    count = sum(len(carried.files) + len(folders(carried.files)) + 1 for carried in bundles)
    count -= len(there)
    if facts.entries is not None and facts.entries < count:
        problems.append(f"files: {count} are needed, and {facts.entries} can be made")
    if problems:
        raise refusal(problems)


def refusal(problems: Sequence[str]) -> HostError:
    """Return the error that names what a medium cannot hold."""
    lines = [f"\n  {problem}" for problem in problems[:_SHOWN]]
    if len(problems) > _SHOWN:
        lines.append(f"\n  and {len(problems) - _SHOWN} more")
    return HostError("the medium cannot hold this:" + "".join(lines))


def folders(files: Iterable[BundleFile]) -> list[str]:
    """Return the directories that files are in, each behind the one that it is in."""
    found = {
        "/".join(parts[:depth])
        for parts in (file.path.split("/") for file in files)
        for depth in range(1, len(parts))
    }
    return sorted(found)


def is_unfinished(name: str) -> bool:
    """Tell whether `staged` calls a bundle so that is being written."""
    return name.startswith(".") and name.endswith(".partial")


def fold(name: str) -> str:
    """Return what all names have in common that some file system takes for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _describe(bundle: Bundle, name: str) -> BundleFile:
    with bundle.open(name) as file, host_errors(f"cannot read {name} in the bundle"):
        return hash_chunks(name, os.fstat(file.fileno()).st_size, file)


def _large(facts: Facts, carried: Carried) -> list[str]:
    if facts.kind not in _FAT:
        return []
    return [
        f"{carried.name}/{file.path}: {show_size(file.size)}, and FAT32 holds files of less than 4 GiB"
        for file in carried.files
        if file.size > LARGEST_FILE
    ]


def _strange(facts: Facts, carried: Carried) -> list[str]:
    """Return the names that Linux may write to such a medium, and Windows never open."""
    if facts.kind not in _WINDOWS:
        return []
    names = {carried.name, *(part for file in carried.files for part in file.path.split("/"))}
    return [
        f"the name {printable(name)}: {reason}"
        for name in sorted(names)
        if (reason := _unfit(name))
    ]


def _unfit(name: str) -> str:
    """Return why Windows does not take a name; nothing where it does."""
    wrong = sorted(char for char in name if char in _FORBIDDEN or ord(char) < ord(" "))
    if wrong:
        return f"no {printable(wrong[0])} in names on FAT, exFAT and NTFS"
    if name.endswith((".", " ")):
        return "no name ends with a dot or a space on FAT, exFAT and NTFS"
    if name.partition(".")[0].casefold() in _DEVICES:
        return "Windows keeps it for a device"
    return ""


def _room(facts: Facts, carried: Carried) -> int:
    """Return the bytes that a bundle takes, its directories included."""
    inside: dict[str, int] = dict.fromkeys(("", *folders(carried.files)), 0)
    for path in (*(file.path for file in carried.files), *list(inside)[1:]):
        folder, _, name = path.rpartition("/")
        inside[folder] += _ENTRY * (2 + len(name) // 13)
    data = sum(_rounded(file.size, facts.block) for file in carried.files)
    return data + sum(_rounded(max(size, 1), facts.block) for size in inside.values())


def _rounded(size: int, block: int) -> int:
    return size + -size % block
