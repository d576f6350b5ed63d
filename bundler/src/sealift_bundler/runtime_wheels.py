"""Wheels of sealift-schemas and sealift-installer, made from what is installed here.

Nothing is compressed and every time is the lock's, so that the same code gives the same bytes. The
shape is that of https://packaging.python.org/specifications/binary-distribution-format/.
"""

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from sealift_installer.errors import HostError, host_errors

_DISTRIBUTIONS = {
    "sealift-installer": "sealift_installer",
    "sealift-schemas": "sealift_schemas",
}
_WHEEL = b"Wheel-Version: 1.0\nGenerator: sealift\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_OPTIONAL = ("entry_points.txt",)


def own_wheels(created: str) -> list[tuple[str, bytes]]:
    """Return file name and bytes of each own wheel.

    Args:
        created: the lock's time, `2026-01-02T03:04:05Z`; all members get it.

    Raises:
        HostError: the installed code cannot be read.
    """
    return [_wheel(name, module, created) for name, module in _DISTRIBUTIONS.items()]


def code_wheels(created: str) -> Iterator[tuple[str, bytes]]:
    """Yield file name and bytes of the wheels of all the code that builds: sealift's and unseal's.

    Args:
        created: as for `own_wheels`, which are among them with the same bytes.

    Raises:
        HostError: the installed code cannot be read.
    """
    for name, module in {"sealift": "sealift_bundler", **_DISTRIBUTIONS}.items():
        yield _wheel(name, module, created)


def _wheel(name: str, module: str, created: str) -> tuple[str, bytes]:
    try:
        installed = distribution(name)
    except PackageNotFoundError:
        raise HostError(f"{name} is not installed beside sealift") from None
    stem = f"{module}-{installed.version}"
    information = f"{stem}.dist-info"
    with host_errors(f"cannot read the installed {name}"):
        members = _code(module) | _information(installed, information)
    members[f"{information}/RECORD"] = _record(members, f"{information}/RECORD")
    return f"{stem}-py3-none-any.whl", _zip(members, created)


def _code(module: str) -> dict[str, bytes]:
    specification = find_spec(module)
    if specification is None or specification.origin is None:
        raise HostError(f"{module} cannot be found beside sealift")
    folder = Path(specification.origin).parent
    return {
        f"{module}/{path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def _information(installed: Distribution, folder: str) -> dict[str, bytes]:
    metadata = installed.read_text("METADATA")
    if metadata is None:
        raise HostError(f"{installed.name} was installed without metadata")
    members = {f"{folder}/METADATA": metadata.encode("utf-8"), f"{folder}/WHEEL": _WHEEL}
    for name in _OPTIONAL:
        text = installed.read_text(name)
        if text is not None:
            members[f"{folder}/{name}"] = text.encode("utf-8")
    for path in installed.files or ():
        if path.parent.name == "licenses" and path.parent.parent.name.endswith(".dist-info"):
            members[f"{folder}/licenses/{path.name}"] = path.read_binary()
    return members


def _record(members: Mapping[str, bytes], own: str) -> bytes:
    lines = []
    for name in sorted(members):
        digest = base64.urlsafe_b64encode(hashlib.sha256(members[name]).digest())
        lines.append(f"{name},sha256={digest.decode('ascii').rstrip('=')},{len(members[name])}\n")
    return "".join([*lines, f"{own},,\n"]).encode("utf-8")


def _zip(members: Mapping[str, bytes], created: str) -> bytes:
    day, _, clock = created.rstrip("Z").partition("T")
    year, month, number = (int(part) for part in day.split("-"))
    hour, minute, second = (int(part) for part in clock.split(":"))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in sorted(members, key=lambda name: (".dist-info/" in name, name)):
            # The format's first year is 1980.
            moment = (max(year, 1980), month, number, hour, minute, second)
            member = zipfile.ZipInfo(name, moment)
            # A regular file, 0644, written on Unix: the same wherever this runs.
            member.create_system, member.external_attr = 3, 0o100644 << 16
            archive.writestr(member, members[name])
    return stream.getvalue()
