"""One interface for every format: an authenticated source in, checked members out."""

from collections.abc import Iterator

from sealift_installer.archives.decompress import decompress
from sealift_installer.archives.members import Member
from sealift_installer.archives.source import ArchiveSource
from sealift_installer.archives.tar import read_tar
from sealift_installer.errors import Damaged, printable
from sealift_installer.limits import LIMITS, Limits

READABLE = ("tar", "tar.gz", "tar.bz2", "tar.xz", "tar.zst", "zip", "7z")


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
    if archive_format not in READABLE:
        raise Damaged(
            f"{printable(source.name)}: archives in the format {printable(archive_format)} cannot "
            f"be read",
            hint="Readable are " + ", ".join(READABLE) + ".",
        )
    if archive_format == "zip":
        from sealift_installer.archives.zip import read_zip

        return read_zip(source, limits)
    if archive_format == "7z":
        from sealift_installer.archives.seven import read_seven

        return read_seven(source, limits)
    return read_tar(decompress(archive_format, source, limits), source.name, limits)
