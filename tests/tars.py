"""Tar archives as the standard library writes them, of any members."""

import io
import tarfile

from hypothesis import strategies as st

FORMATS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
COMPONENT = st.text("abcXYZ019._+- é日", min_size=1, max_size=60).filter(
    lambda t: t not in {".", ".."}
)
NAME = st.builds("/".join, st.lists(COMPONENT, min_size=1, max_size=4)).filter(
    lambda name: len(name.encode()) < 250
)
KIND = st.sampled_from([tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE])


@st.composite
def infos(draw: st.DrawFn) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(draw(NAME))
    info.type = draw(KIND)
    info.mode = draw(st.sampled_from([0o644, 0o755, 0o600, 0o4711]))
    info.mtime = draw(st.sampled_from([0, 1.5, 10**10]))
    info.uid = draw(st.sampled_from([0, 10**7]))
    data = b""
    if info.issym() or info.islnk():
        info.linkname = draw(NAME)
    elif info.isreg():
        data = draw(st.sampled_from([b"", b"x", b"y" * 511, b"z" * 512, b"w" * 700_000]))
        info.size = len(data)
    return info, data


def archive(
    members: list[tuple[tarfile.TarInfo, bytes]], tar_format: int = tarfile.PAX_FORMAT
) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tar_format) as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def file_info(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = size
    return info
