"""The papers of a bundle: what people read, and the scripts that install unseal from it."""

from importlib.resources import files

from sealift_bundler import __version__
from sealift_bundler.packed import in_order
from sealift_bundler.sizes import show_size
from sealift_schemas.lock import Lock


def verify_text() -> bytes:
    """Return VERIFY.txt: the commands that check a bundle with stock tools."""
    return _read("VERIFY.txt")


def install_scripts() -> dict[str, bytes]:
    """Return the scripts that install unseal from the bundle, by name."""
    # PowerShell 5 takes a script without a byte order mark for the ANSI code page: it is ASCII.
    return {name: _read(name) for name in ("install.sh", "install.ps1")}


def readme_text(lock: Lock, *, with_installer: bool) -> bytes:
    """Return README.txt: what this bundle is and what to do with it."""
    rows = [
        f"  {archive.name:<48} {show_size(archive.size):>10}"
        for archive in in_order(lock.archives, lambda archive: archive.name)
    ]
    values = {
        "@STREAM@": lock.stream,
        "@SEQUENCE@": str(lock.sequence),
        "@CREATED@": lock.created,
        "@EXPIRES@": lock.expires or "never",
        "@GENERATOR@": f"sealift {__version__}",
        "@ARCHIVES@": "\n".join(rows) or "  none",
        "@INSTALLER@": _read("with-installer.txt" if with_installer else "without-installer.txt")
        .decode("ascii")
        .rstrip("\n"),
    }
    text = _read("README.txt").decode("ascii")
    for name, value in values.items():
        text = text.replace(name, value)
    return text.encode("ascii")


def _read(name: str) -> bytes:
    return files("sealift_bundler").joinpath("paper", name).read_bytes()
