"""A real headless Chromium that looks at pages, for the tests of reports."""

import shutil
import struct
import subprocess
import zlib
from pathlib import Path

# What keeps it from talking to its maker, and what it needs as root in a container.
_OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--hide-scrollbars", "--window-size=1100,1400"),
)
_PNG = b"\x89PNG\r\n\x1a\n"


def find_browser() -> str | None:
    """Return the browser's path, None where there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Browser:
    """Looks at one page at a time; `folder` takes its profile and what it writes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def dom(self, page: Path) -> str:
        """Return the document as the browser holds it after its scripts ran, had it any."""
        return self._run(page, "--dump-dom").decode("utf-8")

    def first_pixel(self, page: Path, *, dark: bool) -> tuple[int, int, int]:
        """Return the colour of the page's upper left corner, on a dark or light screen."""
        picture = self._folder / "page.png"
        scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
        self._run(page, f"--screenshot={picture}", scheme)
        return _first_pixel(picture.read_bytes())

    def printed(self, page: Path) -> bytes:
        """Return the page as it is printed, as PDF."""
        paper = self._folder / "page.pdf"
        self._run(page, f"--print-to-pdf={paper}", "--no-pdf-header-footer")
        return paper.read_bytes()

    def _run(self, page: Path, *options: str) -> bytes:
        profile = f"--user-data-dir={self._folder / 'profile'}"
        words = [find_browser() or "", *_OPTIONS, profile, *options, page.as_uri()]
        return subprocess.run(words, capture_output=True, check=True, timeout=400).stdout


def _first_pixel(data: bytes) -> tuple[int, int, int]:
    """Return the first pixel of a PNG; whatever the filter, nothing is left of it or above it."""
    assert data.startswith(_PNG)
    place, packed = len(_PNG), b""
    while place < len(data):
        size, kind = struct.unpack_from(">I4s", data, place)
        if kind == b"IDAT":
            packed += data[place + 8 : place + 8 + size]
        place += size + 12
    line = zlib.decompressobj().decompress(packed, 5)
    return line[1], line[2], line[3]
