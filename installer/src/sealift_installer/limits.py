"""Every limit of the trusted side, in one place. Sizes are in bytes."""

from sealift_schemas.lean import dataclass, replace

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is read, counted or nested before a bundle is refused."""

    # Documents of the bundle. A manifest of 5,000 archives has about 4 MiB.
    envelope: int = 64 * MIB
    root: int = 1 * MIB
    checksums: int = 16 * MIB
    signature_file: int = 4096
    index: int = 512 * MIB
    template: int = 64 * MIB
    # The bundle's directory.
    bundle_files: int = 100_000
    root_versions: int = 1024
    # An archive's members.
    members: int = 2_000_000
    unpacked: int = 1024 * 1024 * MIB
    path: int = 1024
    component: int = 255
    depth: int = 64
    link_target: int = 1024
    # How many links one path may lead through. Linux follows 40 (path_resolution(7)), others fewer.
    link_chain: int = 40
    # What a compressed tar archive becomes, headers and padding included.
    stream: int = 1024 * 1024 * MIB
    # The share of one member in that, beside its bytes: headers, long names, extended attributes.
    member_headers: int = 64 * 1024
    # One extended header of a tar archive: PAX records or a GNU long name.
    extended_header: int = 1 * MIB
    # What is stored of one file with holes: so many regions. GNU tar makes one of each run of data.
    sparse_regions: int = 65_536
    # Zeros behind the end of a tar archive: writers fill up their last record.
    padding: int = 16 * MIB
    # A zip archive's list of members, which is held while the archive is read.
    central_directory: int = 256 * MIB
    # A 7z archive's header, unpacked: 160,000 members at 100 bytes, as a CPython's have.
    seven_header: int = 16 * MIB
    # How many bytes one packed byte may say that it becomes, once there are more than `unsuspected`.
    # Software has 3 to 20; deflate reaches 1,032, and xz, bzip2 and zstd far more, of zeros alone.
    ratio: int = 1000
    unsuspected: int = 256 * MIB
    # What a decoder may take: xz -9 takes 65 MiB, zstd --ultra -22 a window of 128 MiB.
    decoder_memory: int = 256 * MIB

    def is_bomb(self, packed: int, unpacked: int) -> bool:
        """Tell whether so many packed bytes that say they become so many are none of software."""
        return unpacked > self.unsuspected and unpacked > packed * self.ratio

    def within(self, members: int, unpacked: int) -> "Limits":
        """Return the limits of an archive whose signed index lists so many members and bytes.

        A tar archive may have more members than are listed; `share` says how many.
        """
        headers, stream = self.share(members, unpacked)
        return replace(
            self,
            members=min(self.members, headers),
            unpacked=min(self.unpacked, stream),
            stream=min(self.stream, stream),
        )

    def share(self, members: int, unpacked: int) -> tuple[int, int]:
        """Return how many headers and bytes a tar archive of so many members and bytes may have.

        There may be up to three headers before each member that say more about it, and one for the
        top of the tree. None of these is more than headers.
        """
        return 4 * members + 16, unpacked + (members + 16) * self.member_headers + self.padding


LIMITS = Limits()
