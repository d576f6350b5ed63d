"""One interface for every format: an authenticated source in, checked members out."""

from collections.abc import Iterator
from types import TracebackType
from typing import Self

from sealift_installer.archives.ahead import Ahead
from sealift_installer.archives.decompress import decompress
from sealift_installer.archives.members import Member
from sealift_installer.archives.source import ArchiveSource
from sealift_installer.archives.tar import TarReader
from sealift_installer.errors import Damaged, printable
from sealift_installer.limits import LIMITS, Limits

READABLE = ("tar", "tar.gz", "tar.bz2", "tar.xz", "tar.zst", "zip", "7z")
_SEEKING = ("zip", "7z")


class ArchiveReader:
    """Reads the archive in `source`. Use it as a context manager.

    A tar archive is authenticated and decompressed from now on, beside whatever is done until the
    members are asked for: within `limits`, for those of its index are not known yet.

    Raises:
        Damaged: the format is none that can be read.
    """

    def __init__(self, archive_format: str, source: ArchiveSource, limits: Limits = LIMITS) -> None:
        if archive_format not in READABLE:
            raise Damaged(
                f"{printable(source.name)}: archives in the format {printable(archive_format)} "
                f"cannot be read",
                hint="Readable are " + ", ".join(READABLE) + ".",
            )
        self._format = archive_format
        self._source = source
        self._ahead: Ahead | None = None
        if archive_format not in _SEEKING:
            self._ahead = Ahead(decompress(archive_format, source, limits))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the thread that reads ahead; there are no more members then."""
        if self._ahead is not None:
            self._ahead.close()

    def members(self, limits: Limits = LIMITS) -> Iterator[Member]:
        """Yield the members, once, as `read_members` says."""
        if self._ahead is not None:
            return TarReader(self._ahead, self._source.name, limits)
        if self._format == "zip":
            from sealift_installer.archives.zip import read_zip

            return read_zip(self._source, limits)
        from sealift_installer.archives.seven import read_seven

        return read_seven(self._source, limits)


def read_members(
    archive_format: str, source: ArchiveSource, limits: Limits = LIMITS
) -> Iterator[Member]:
    """Yield the members of the archive in `source` in the order of their data.

    Names are normalised and safe; what is no file, link, hard link or directory is refused. The
    same name may come more than once. A link's target is as it stands in the archive: whether it
    stays inside of the tree depends on where it is installed, so that is checked there. Take all
    members: the end of the archive is checked, and the whole file's hash compared, behind the last.

    Raises:
        Damaged: of another format, malformed, truncated, hostile, or with something behind its end.
    """
    with ArchiveReader(archive_format, source, limits) as reader:
        yield from reader.members(limits)
