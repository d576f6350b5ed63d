"""Archives: chunks in, members out. Nothing here writes."""

from sealift_installer.archives.members import (
    Member,
    MemberType,
    check_link,
    check_links,
    check_path,
    check_target,
)
from sealift_installer.archives.read import READABLE, ArchiveReader, read_members
from sealift_installer.archives.source import ArchiveSource

__all__ = [
    "READABLE",
    "ArchiveReader",
    "ArchiveSource",
    "Member",
    "MemberType",
    "check_link",
    "check_links",
    "check_path",
    "check_target",
    "read_members",
]
