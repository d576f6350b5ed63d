"""Puts 7z archives together, byte by byte; what each place says can be overridden."""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

FILE = 0x8000 | 0o100644 << 16
PROGRAM = 0x8000 | 0o100755 << 16
LINK = 0x8000 | 0o120777 << 16
FOLDER = 0x8010 | 0o040755 << 16
COPY = b"\x01\x00"


def number(value: int) -> bytes:
    """Return a number as 7z writes it, in the shortest form."""
    for more in range(8):
        if value < 1 << (7 * (more + 1)):
            mark = 0xFF00 >> more & 0xFF
            low = value & (1 << 8 * more) - 1
            return bytes([mark | value >> 8 * more]) + low.to_bytes(more, "little")
    return b"\xff" + value.to_bytes(8, "little")


def bits(values: Sequence[bool]) -> bytes:
    """Return a bit vector, the highest bit first."""
    packed = bytearray((len(values) + 7) // 8)
    for place, value in enumerate(values):
        packed[place >> 3] |= value << 7 - (place & 7)
    return bytes(packed)


def part(kind: int, data: bytes) -> bytes:
    """Return a property of the members."""
    return bytes([kind]) + number(len(data)) + data


@dataclass
class Entry:
    """One member; `data` is None for what takes no bytes, `attributes` for none."""

    name: str
    data: bytes | None
    attributes: int | None
    anti: bool = False
    empty_file: bool = False


@dataclass
class Seven:
    """An archive of one block whose members are not compressed, unless `coders` says so.

    Attributes:
        coders: how many, and each of them, as they stand in a block.
        bonds: what stands behind them.
        packed: the bytes of the block, where they are not the members' bytes.
        sizes: what each coder makes, where it is not the members' bytes.
        checksums: the CRC-32 of each member, where they are not true ones.
    """

    entries: list[Entry] = field(default_factory=list)
    coders: bytes = b"\x01" + COPY
    bonds: bytes = b""
    packed: bytes | None = None
    sizes: tuple[int, ...] | None = None
    checksums: tuple[int, ...] | None = None
    more: bytes = b""

    def add(
        self,
        name: str,
        data: bytes | None = b"x",
        attributes: int | None = FILE,
        *,
        anti: bool = False,
        empty_file: bool = False,
    ) -> "Seven":
        """Add a member."""
        self.entries.append(Entry(name, data, attributes, anti, empty_file))
        return self

    def header(self) -> bytes:
        """Return the plain header."""
        return b"\x01" + self.streams() + self.files() + b"\0"

    def streams(self) -> bytes:
        """Return what says where the block is and how it is divided."""
        filled = [entry.data for entry in self.entries if entry.data is not None]
        if not filled:
            return b""
        whole = b"".join(filled)
        packed = whole if self.packed is None else self.packed
        sizes = (len(whole),) if self.sizes is None else self.sizes
        sums = self.checksums or tuple(map(zlib.crc32, filled))
        return (
            b"\x04\x06" + number(0) + number(1) + b"\x09" + number(len(packed)) + b"\0"
            b"\x07\x0b" + number(1) + b"\0" + self.coders + self.bonds
            + b"\x0c" + b"".join(map(number, sizes)) + b"\0"
            b"\x08\x0d" + number(len(filled))
            + (b"\x09" + b"".join(number(len(data)) for data in filled[:-1]) if filled[1:] else b"")
            + b"\x0a\x01" + b"".join(struct.pack("<L", value) for value in sums) + b"\0\0"
        )  # fmt: skip

    def files(self, count: int | None = None) -> bytes:
        """Return what says what the members are."""
        empty = [entry.data is None for entry in self.entries]
        nothing = [entry for entry in self.entries if entry.data is None]
        known = [entry.attributes for entry in self.entries]
        result = b"\x05" + number(len(self.entries) if count is None else count)
        if any(empty):
            result += part(0x0E, bits(empty))
        if any(entry.empty_file for entry in nothing):
            result += part(0x0F, bits([entry.empty_file for entry in nothing]))
        if any(entry.anti for entry in nothing):
            result += part(0x10, bits([entry.anti for entry in nothing]))
        names = "".join(f"{entry.name}\0" for entry in self.entries)
        result += part(0x11, b"\0" + names.encode("utf-16-le", "surrogatepass"))
        if any(value is not None for value in known):
            # As 7-Zip writes it; libarchive reads a vector of bits otherwise than 7-Zip does.
            every = None not in known
            defined = b"\1" if every else b"\0" + bits([value is not None for value in known])
            values = b"".join(struct.pack("<L", value) for value in known if value is not None)
            result += part(0x15, defined + b"\0" + values)
        return result + self.more + b"\0"

    def build(self, header: bytes | None = None, *, gap: bytes = b"", behind: bytes = b"") -> bytes:
        """Return the archive."""
        whole = b"".join(entry.data for entry in self.entries if entry.data is not None)
        packed = whole if self.packed is None else self.packed
        return wrap(packed + gap, self.header() if header is None else header) + behind


def wrap(packed: bytes, header: bytes, **fields: int) -> bytes:
    """Return an archive of `packed` bytes and a header; `fields` override offset, size, crc."""
    covered = struct.pack(
        "<QQL",
        fields.get("offset", len(packed)),
        fields.get("size", len(header)),
        fields.get("crc", zlib.crc32(header)),
    )
    start = b"7z\xbc\xaf\x27\x1c" + bytes([fields.get("major", 0), 4])
    return start + struct.pack("<L", zlib.crc32(covered)) + covered + packed + header


def encoded(
    packed: bytes, header: bytes, size: int | None = None, coders: bytes = b"\x01" + COPY
) -> bytes:
    """Return an archive whose header is packed by `coders`; `size` is what it says to become."""
    said = len(header) if size is None else size
    outer = (
        b"\x17\x06" + number(len(packed)) + number(1) + b"\x09" + number(len(header)) + b"\0"
        b"\x07\x0b" + number(1) + b"\0" + coders + b"\x0c" + number(said) + b"\0\0"
    )  # fmt: skip
    return wrap(packed + header, outer)


def coder(method: str, properties: bytes = b"", shape: bytes = b"") -> bytes:
    """Return a coder; `shape` is how many streams it has, where that is not one and one."""
    identity = bytes.fromhex(method)
    flags = len(identity) | (0x20 if properties else 0) | (0x10 if shape else 0)
    rest = number(len(properties)) + properties if properties else b""
    return bytes([flags]) + identity + shape + rest
