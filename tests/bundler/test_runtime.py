import base64
import hashlib
import io
import subprocess
import sys
import zipfile

import pytest
from packaging.requirements import Requirement

from index_stand_in import WHEEL, digest_of, publish
from loopback import Announced, Body, LoopbackServer, Status
from sealift_bundler import web
from sealift_bundler.carried_wheels import CarriedWheels
from sealift_bundler.errors import NetworkError
from sealift_bundler.runtime import (
    Pin,
    describe_missing,
    own_wheels,
    read_pins,
    requirements_text,
    resolve_wheels,
)
from sealift_bundler.sources.pip_settings import PipSettings
from sealift_installer.errors import Damaged, UsageError
from sealift_schemas.lock import LockedWheel

CREATED = "2026-01-02T03:04:05Z"
COMPILED = [
    "fast-1.0-cp311-cp311-manylinux_2_17_x86_64.whl",
    "fast-1.0-cp311-cp311-manylinux_2_28_x86_64.whl",
    "fast-1.0-cp312-abi3-manylinux_2_17_x86_64.whl",
    "fast-1.0-cp314-cp314t-manylinux_2_17_x86_64.whl",
    "fast-1.0-cp311-cp311-macosx_11_0_arm64.whl",
    "fast-2.0-cp311-cp311-manylinux_2_17_x86_64.whl",
]
PURE = ["plain-1-py2.py3-none-any.whl"]


def pin(name, version, filenames, marker=""):
    return Pin(name, version, marker, frozenset(digest_of(one) for one in filenames))


PINS = [pin("fast", "1.0", COMPILED), pin("plain", "1", PURE, 'python_full_version < "3.13"')]


@pytest.fixture
def index(tmp_path, monkeypatch):
    monkeypatch.setattr(web, "PATIENCE", web.Patience(attempts=1, pause=0.0))
    with LoopbackServer(tmp_path) as server:
        publish(server, "fast", COMPILED)
        publish(server, "plain", PURE)
        yield server


@pytest.fixture
def settings(index):
    return PipSettings(f"{index.url}/simple/")


def names(wheels):
    return [wheel.filename for wheel in wheels]


def test_a_wheel_is_found_for_each_python_with_the_least_demand(index, settings):
    pythons = ("3.11", "3.12", "3.13")
    wheels = resolve_wheels(pythons, ["linux-x86_64-gnu"], settings=settings, pins=PINS).wheels
    assert names(wheels) == [COMPILED[0], COMPILED[2], PURE[0]]
    first = wheels[0]
    assert first.url == f"{index.url}/files/{COMPILED[0]}"
    assert (first.sha256, first.size) == (digest_of(COMPILED[0]), len(WHEEL))
    assert LockedWheel.from_json(first.to_json(), "wheel") == first


def test_markers_are_evaluated_for_the_target(index, settings):
    wheels = resolve_wheels(["3.13"], ["linux-x86_64-gnu"], settings=settings, pins=PINS).wheels
    assert names(wheels) == [COMPILED[2]]
    assert "/simple/plain/" not in index.paths


@pytest.mark.parametrize(
    ("marker", "platform", "applies"),
    [
        ("sys_platform == 'win32'", "windows-x86_64-none", True),
        ("sys_platform == 'win32'", "linux-x86_64-gnu", False),
        ("platform_machine == 'AMD64'", "windows-x86_64-none", True),
        ("platform_machine == 'x86_64'", "linux-x86_64_v3-gnu", True),
        ("platform_machine == 'arm64'", "macos-aarch64-none", True),
        ("platform_machine == 'aarch64'", "linux-aarch64-musl", True),
        ("platform_python_implementation == 'PyPy'", "linux-x86_64-gnu", False),
        ("python_version >= '3.12'", "linux-x86_64-gnu", False),
    ],
)
def test_a_marker_is_that_of_the_target(marker, platform, applies, settings):
    pins = [pin("plain", "1", PURE, marker)]
    wheels = resolve_wheels(["3.11"], [platform], settings=settings, pins=pins).wheels
    assert names(wheels) == (PURE if applies else [])


def test_where_a_wheel_is_missing_is_told(settings):
    platforms = ["linux-s390x-gnu", "macos-aarch64-none"]
    found = resolve_wheels(["3.11"], platforms, settings=settings, pins=PINS)
    told = list(describe_missing(found.missing))
    where = "unseal cannot be installed on linux-s390x-gnu with Python 3.11"
    assert told == [f"{where}: there is no wheel of fast 1.0"]


def test_what_is_missing_is_told_once_for_a_platform(index, settings):
    for name in ("native", "also", "third"):
        publish(index, name, [f"{name}-1-cp311-cp311-macosx_11_0_arm64.whl"])
    pins = [*PINS, *(pin(name, "1", []) for name in ("native", "also", "third"))]
    platforms = ["linux-s390x-gnu", "linux-riscv64-gnu"]
    found = resolve_wheels(["3.11", "3.12"], platforms, settings=settings, pins=pins)
    told = list(describe_missing(found.missing))
    lacking = "with Python 3.11, 3.12: there is no wheel of also 1, fast 1.0, native 1 and 1 more"
    assert told == [f"unseal cannot be installed on {one} {lacking}" for one in sorted(platforms)]


def test_another_file_than_the_pinned_one_is_refused(settings):
    pins = [pin("fast", "1.0", ["another"])]
    with pytest.raises(UsageError, match=r"fast-1\.0-cp311.* is not the file that was pinned"):
        resolve_wheels(["3.11"], ["linux-x86_64-gnu"], settings=settings, pins=pins)


def test_a_size_that_nobody_announces_is_counted(index, settings, tmp_path):
    file = tmp_path / f"files/{PURE[0]}"
    file.parent.mkdir()
    file.write_bytes(b"counted")
    index.faults[f"/files/{PURE[0]}"] = [Announced(None)]
    wheels = resolve_wheels(["3.11"], ["linux-x86_64-gnu"], settings=settings, pins=PINS[1:]).wheels
    assert [wheel.size for wheel in wheels] == [7]


def test_a_size_without_end_is_not_counted(index, settings, tmp_path, monkeypatch):
    monkeypatch.setattr("sealift_bundler.runtime._LARGEST_WHEEL", 1000)
    file = tmp_path / f"files/{PURE[0]}"
    file.parent.mkdir()
    file.write_bytes(b"x" * 1001)
    index.faults[f"/files/{PURE[0]}"] = [Announced(None)]
    with pytest.raises(NetworkError, match="announces no size, and sends more than"):
        resolve_wheels(["3.11"], ["linux-x86_64-gnu"], settings=settings, pins=PINS[1:])


def test_a_size_is_asked_for_again_after_a_fault(index, settings, monkeypatch):
    monkeypatch.setattr(web, "PATIENCE", web.Patience(attempts=2, pause=0.0))
    index.faults[f"/files/{PURE[0]}"] = [Status(503), Body(WHEEL)]
    wheels = resolve_wheels(["3.11"], ["linux-x86_64-gnu"], settings=settings, pins=PINS[1:]).wheels
    assert wheels[0].size == len(WHEEL)


def test_the_pins_of_this_package_are_exact_and_hashed():
    pins = read_pins()
    assert {"cryptography", "isal", "py7zr"} <= {one.name for one in pins}
    assert all(one.hashes and one.version for one in pins)
    (zstd,) = (one for one in pins if one.name == "backports-zstd")
    assert zstd.marker == 'python_full_version < "3.14"'


def test_requirements_give_every_hash_of_a_version_on_one_line():
    wheels = {
        "backports_zstd-1.8.0-cp311-cp311-manylinux_2_17_x86_64.whl": b"a",
        "backports_zstd-1.8.0-cp312-cp312-manylinux_2_17_x86_64.whl": b"b",
        "texttable-1.7.2-py2.py3-none-any.whl": b"c",
    }
    lines = requirements_text(wheels).decode().replace("\\\n", "").splitlines()
    assert len(lines) == 2
    for data in (b"a", b"b"):
        assert f"--hash=sha256:{hashlib.sha256(data).hexdigest()}" in lines[0]
    requirement = Requirement(lines[0].partition("--hash")[0])
    assert str(requirement) == 'backports-zstd==1.8.0; python_full_version < "3.14"'
    assert lines[1].startswith("texttable==1.7.2 ")


def test_own_wheels_are_the_same_each_time_and_whole():
    wheels = own_wheels(CREATED)
    assert wheels == own_wheels(CREATED)
    assert [name for name, _ in wheels] == [
        "sealift_installer-0.1.0-py3-none-any.whl",
        "sealift_schemas-0.1.0-py3-none-any.whl",
    ]
    for name, data in wheels:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.namelist()
            assert {info.date_time for info in archive.infolist()} == {(2026, 1, 2, 3, 4, 4)}
            record = archive.read(next(one for one in members if one.endswith("/RECORD"))).decode()
            for line in record.splitlines()[:-1]:
                path, digest, size = line.rsplit(",", 2)
                content = archive.read(path)
                expected = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode()
                assert (digest, int(size)) == (f"sha256={expected.rstrip('=')}", len(content))
        assert len(record.splitlines()) == len(members)
        assert not [one for one in members if "__pycache__" in one or one.endswith(".pyc")]
        assert f"{name.split('-')[0]}/py.typed" in members
    assert own_wheels("2027-01-01T00:00:00Z") != wheels


def test_pip_installs_the_own_wheels_by_hash(tmp_path):
    wheels = dict(own_wheels(CREATED))
    for name, data in wheels.items():
        (tmp_path / name).write_bytes(data)
    requirements = tmp_path / "requirements.txt"
    requirements.write_bytes(requirements_text(wheels))
    command = [sys.executable, "-I", "-m", "pip", "install", "--no-index", "--require-hashes"]
    options = ["--no-deps", "--target", tmp_path / "to", "--find-links", tmp_path]
    done = subprocess.run(
        [*command, *options, "-r", requirements],
        capture_output=True,
        text=True,
        check=False,
        env={"PIP_CONFIG_FILE": "/dev/null", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "to/bin/unseal").is_file()
    assert (tmp_path / "to/sealift_installer/cli/entry.py").is_file()


def test_a_wheel_that_was_changed_behind_its_check_is_not_carried(tmp_path):
    path = tmp_path / "wheel"
    path.write_bytes(b"as it was fetched")
    wheel = LockedWheel(
        filename="a-1.0-py3-none-any.whl",
        url="https://example.org/a-1.0-py3-none-any.whl",
        sha256=hashlib.sha256(b"as it was fetched").hexdigest(),
        size=17,
    )
    wheels = CarriedWheels([(wheel, path)], {"own-1.0-py3-none-any.whl": b"own"})
    assert dict(wheels) == {
        wheel.filename: b"as it was fetched",
        "own-1.0-py3-none-any.whl": b"own",
    }
    path.write_bytes(b"and as it is now ")
    with pytest.raises(Damaged, match=rf"(?s){path} was changed\n  Expected: {wheel.sha256}"):
        wheels[wheel.filename]
