"""Packs bytes as Snappy does, for what plays GitHub."""


def pack_snappy(data: bytes) -> bytes:
    """Return a block of literals and copies; a plain encoder, for what the decoder must take."""
    size, made = len(data), bytearray()
    while size >= 0x80:
        made.append(size & 0x7F | 0x80)
        size >>= 7
    made.append(size)
    at = 0
    while at < len(data):
        start = data.rfind(data[at : at + 4], max(0, at - 60_000), at + 3) if at else -1
        if 0 <= start < at and len(data) - at >= 4:
            length = 4
            while (
                length < 64
                and at + length < len(data)
                and data[start + length] == data[at + length]
            ):
                length += 1
            made += bytes([length - 1 << 2 | 2]) + (at - start).to_bytes(2, "little")
            at += length
        else:
            piece = data[at : at + 1]
            made += bytes([len(piece) - 1 << 2]) + piece
            at += 1
    return bytes(made)
