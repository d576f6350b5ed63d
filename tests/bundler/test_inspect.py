import hashlib
import io
import os
import shutil
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from hostile import sparse
from hostile.generator import END, header, member, pax
from sealift_bundler import inspection_scan
from sealift_bundler.inspect import inspect_archive
from sealift_bundler.inspection_needs import find_requirements
from sealift_bundler.relocation import elf_needs
from sealift_bundler.relocation.elf_needs import ElfNeeds, read_needs
from sealift_installer.errors import Damaged, HostError
from sealift_installer.relocation import render
from sealift_schemas.index import read_lines
from sealift_schemas.lock import LockedArchive

KEY = "cpython-3.13.3-linux-x86_64-gnu"
LIB = "python/lib/python3.13"
SYSCONFIG = f"{LIB}/_sysconfigdata__linux_x86_64-linux-gnu.py"
SYSCONFIG_TEXT = (
    "# system configuration generated and used by the sysconfig module\n"
    "build_time_vars = {'prefix': '/install', 'CC': 'clang'}\n"
)
ELF = b"\x7fELF" + bytes(100)


def file(name, data=b"", mode=0o644):
    info = tarfile.TarInfo(name)
    info.mode = mode
    info.size = len(data)
    return info, data


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    return info, b""


def link(name, target):
    return special(name, tarfile.SYMTYPE, target)


def hardlink(name, target):
    return special(name, tarfile.LNKTYPE, target)


def folder(name):
    return special(name, tarfile.DIRTYPE)


def python(*more):
    return (
        file("python/bin/python3.13", ELF + b"/install", 0o755),
        file(f"{LIB}/os.py", b"import sys\n"),
        file(SYSCONFIG, SYSCONFIG_TEXT.encode()),
        *more,
    )


class Box:
    """Writes an archive and inspects it."""

    def __init__(self, path):
        self.path = path
        self.lock = LockedArchive(
            name=KEY,
            kind="interpreter",
            source="python",
            request="3.13",
            version="3.13.3",
            platform="linux-x86_64-gnu",
            url="https://example.invalid/x.tar",
            filename="x.tar",
            format="tar",
            sha256="0" * 64,
            size=1,
            digest_source="catalog",
            recipe="cpython",
            prefix="/install",
            build="20250529",
        )

    def inspect(self, *members, **changes):
        with tarfile.open(self.path, "w") as archive:
            for info, data in members:
                archive.addfile(info, io.BytesIO(data))
        return self.look(**changes)

    def tool(self, *members, **changes):
        tool = {"name": "x-1", "kind": "tool", "recipe": "generic", "prefix": None, "build": None}
        return self.inspect(*members, **(tool | changes))

    def look(self, **changes):
        sha256 = hashlib.sha256(self.path.read_bytes()).hexdigest()
        self.lock = replace(self.lock, **{"sha256": sha256, **changes})
        inspection = inspect_archive(self.lock, self.path)
        # Whatever is found, the index can be written and read.
        data = b"".join(entry.encode() for entry in inspection.entries)
        assert tuple(read_lines(data, what="index", limit=len(data))) == inspection.entries
        return inspection


@pytest.fixture
def box(tmp_path):
    return Box(tmp_path / "x.tar")


def by_path(inspection):
    return {entry.path: entry for entry in inspection.entries if entry.path is not None}


def dropped(inspection):
    return {entry.member: entry.dropped for entry in inspection.entries if entry.path is None}


def test_an_interpreter_gets_its_index_and_what_uv_adds(box):
    inspection = box.inspect(folder("python"), *python())
    entries = by_path(inspection)
    assert list(entries) == [
        "bin/python3.13",
        "lib/python3.13/os.py",
        "lib/python3.13/_sysconfigdata__linux_x86_64-linux-gnu.py",
        "bin/python",
        "BUILD",
        "lib/python3.13/EXTERNALLY-MANAGED",
    ]
    assert dropped(inspection) == {"python": "the folder that is taken off"}
    program = entries["bin/python3.13"]
    assert (program.member, program.mode) == ("python/bin/python3.13", "755")
    assert program.size == len(ELF) + len(b"/install")
    assert program.sha256 == hashlib.sha256(ELF + b"/install").hexdigest()
    assert program.kept is not None
    assert program.kept.startswith("built in, and computed anew")
    assert (entries["bin/python"].type, entries["bin/python"].target) == ("link", "python3.13")
    assert inspection.templates[entries["BUILD"].template.sha256] == b"20250529"
    notice = inspection.templates[entries["lib/python3.13/EXTERNALLY-MANAGED"].template.sha256]
    assert notice.startswith(b"[externally-managed]\nError=")
    assert inspection.interpreter == "bin/python3.13"
    assert inspection.links == {}
    assert inspection.members == 6
    template = entries["lib/python3.13/_sysconfigdata__linux_x86_64-linux-gnu.py"].template
    text = render(inspection.templates[template.sha256], template.places, "/real").decode()
    assert '"prefix": "/real"' in text
    assert '"CC": "cc"' in text
    sizes = [entry.template.size if entry.template else entry.size for entry in entries.values()]
    assert inspection.unpacked == sum(size or 0 for size in sizes)


def test_what_the_archive_has_already_is_not_added_twice(box):
    inspection = box.inspect(
        *python(
            link("python/bin/python", "python3.13"),
            file(f"{LIB}/EXTERNALLY-MANAGED", b"other"),
            file("python/BUILD", b"other"),
        )
    )
    assert dropped(inspection) == {
        f"{LIB}/EXTERNALLY-MANAGED": "replaced by what sealift adds",
        "python/BUILD": "replaced by what sealift adds",
    }
    assert [entry.path for entry in inspection.entries if entry.member is None] == [
        "BUILD",
        "lib/python3.13/EXTERNALLY-MANAGED",
    ]
    assert by_path(inspection)["bin/python"].member == "python/bin/python"


def test_of_a_full_archive_only_the_install_folder_counts(box):
    members = [
        (file(info.name.replace("python/", "python/install/", 1), data, info.mode))
        for info, data in python()
    ]
    inspection = box.inspect(
        file("python/PYTHON.json", b'{"a": "/install"}'), folder("python/install"), *members
    )
    assert "bin/python3.13" in by_path(inspection)
    assert dropped(inspection) == {
        "python/PYTHON.json": "outside of the folder that is installed",
        "python/install": "the folder that is taken off",
    }


def test_the_last_of_several_members_with_one_path_counts(box):
    inspection = box.tool(file("x/a", b"1"), folder("x/d"), file("x/a", b"22"), folder("x/d"))
    assert [(e.member, e.path, e.dropped) for e in inspection.entries] == [
        ("x/a", None, "a later member has the same path"),
        ("x/d", "d", None),
        ("x/a", "a", None),
        ("x/d", None, "the folder is there already"),
    ]
    assert inspection.unpacked == 2


def test_compiled_files_of_rewritten_modules_are_dropped(box):
    name = "_sysconfigdata__linux_x86_64-linux-gnu"
    stale = f"{LIB}/__pycache__/{name}.cpython-313.opt-1.pyc"
    beside = f"{LIB}/{name}.pyc"
    other = f"{LIB}/__pycache__/os.cpython-313.pyc"
    inspection = box.inspect(
        *python(*(file(path, b"\0/install") for path in (stale, beside, other)))
    )
    assert set(dropped(inspection)) == {stale, beside}
    assert by_path(inspection)[other.removeprefix("python/")].kept == (
        "compiled from a source whose path it names for tracebacks alone"
    )


def test_links_work_from_where_they_are_installed(box):
    inspection = box.inspect(
        *python(
            link("python/a", "/install/lib/x"),
            link("python/lib/b", "/install"),
            link("python/lib/c", "../bin/python3.13"),
            link("python/lib/d", "../../python/bin/python3.13"),
            hardlink("python/lib/e", "python/bin/python3.13"),
        )
    )
    entries = by_path(inspection)
    assert {path: entries[path].link_target for path in ("a", "lib/b", "lib/c", "lib/d")} == {
        "a": "lib/x",
        "lib/b": "..",
        "lib/c": "../bin/python3.13",
        "lib/d": "../bin/python3.13",
    }
    assert entries["lib/c"].installed_target is None
    assert entries["lib/e"].link_target == "bin/python3.13"


@pytest.mark.parametrize(
    ("members", "match"),
    [
        ([link("x/a", "/etc/passwd")], r"x\.tar: unsafe link 'a' .*absolute"),
        ([link("x/a", "../../b")], "leaves the tree"),
        ([link("x/a", "/install/../../b")], "leaves the tree"),
        ([link("x/a/b/c", "../.."), link("x/d", "a/b/c/../..")], "leaves the tree"),
        ([file("x/a"), file("x/a/b")], "'a/b' stands below 'a', which is a file"),
        ([link("x/a", "b"), file("x/a/b")], "'a/b' stands below 'a', which is a link"),
        ([folder("x/a"), link("x/a", "b"), file("x/b")], "'a' is a folder and something else"),
        ([file("x/../a")], r"x\.tar.*leaves the tree"),
        ([file("/x/a")], "absolute"),
        ([file("x/a\u202eb")], r"invisible or bidirectional"),
        ([special("x/a", tarfile.FIFOTYPE)], "x.tar"),
        ([special("x/a", tarfile.CHRTYPE)], "x.tar"),
        ([file("x/b"), hardlink("x/a", "x/c")], "shares no earlier file: 'x/c'"),
        ([hardlink("x/a", "x/b"), file("x/b")], "shares no earlier file: 'x/b'"),
        ([file("x/b"), file("x/b"), hardlink("x/c", "y")], "shares no earlier file"),
        ([file("x/b"), hardlink("x/c", "x/b"), file("x/b")], "shares a file that is not installed"),
    ],
)
def test_hostile_members_are_refused(box, members, match):
    with pytest.raises(Damaged, match=match):
        box.tool(*members, prefix="/install")


@pytest.mark.parametrize(
    ("members", "match"),
    [
        ([file("python/bin/python3.12"), file(f"{LIB}/os.py")], "no interpreter at bin/python3.13"),
        ([file("python/bin/python3.13")], "no standard library at lib/python3.13"),
        ([*python(), file("other/x")], "one folder at its top"),
        ([file("python")], "one folder at its top"),
    ],
)
def test_an_interpreter_that_is_none_is_refused(box, members, match):
    with pytest.raises(Damaged, match=match):
        box.inspect(*members)


def test_an_interpreter_needs_an_install_key(box):
    with pytest.raises(Damaged, match=r"x\.tar: not an install key: 'python'"):
        box.inspect(*python(), name="python")


def test_an_archive_that_the_lock_does_not_know_is_refused(box, tmp_path):
    with pytest.raises(Damaged, match=r"(?s)x\.tar is not what the lock says.*Expected.*Computed"):
        box.inspect(*python(), sha256="f" * 64)
    with pytest.raises(HostError, match=r"cannot read x\.tar"):
        inspect_archive(box.lock, tmp_path / "missing")
    box.path.write_bytes(b"<!DOCTYPE html><html>" * 100)
    with pytest.raises(Damaged, match=r"x\.tar"):
        box.look()


@pytest.mark.parametrize(
    ("strip", "paths"),
    [
        (None, ["a", "b/c"]),
        (0, ["x/a", "x/b/c"]),
        (1, ["a", "b/c"]),
        (2, ["c"]),
    ],
)
def test_leading_folders_are_taken_off(box, strip, paths):
    inspection = box.tool(file("x/a"), file("x/b/c"), strip=strip)
    assert list(by_path(inspection)) == paths


def test_without_one_common_folder_nothing_is_taken_off(box):
    assert list(by_path(box.tool(file("x/a"), file("y")))) == ["x/a", "y"]
    assert list(by_path(box.tool(file("x")))) == ["x"]


def test_a_wheel_is_laid_out_by_its_own_rules(box):
    with zipfile.ZipFile(box.path, "w") as wheel:
        for name, data in {
            "x/__init__.py": "",
            "x-1.data/scripts/x": "\x7fELF",
            "x-1.data/scripts/y": "#!python\n",
            "x-1.data/scripts/z": "#!/bin/sh\n",
            "x-1.data/data/share/man/x.1": "",
            "x-1.data/purelib/p.py": "",
            "x-1.data/platlib/q.py": "",
            "x-1.data/headers/x.h": "",
            "x-1.data/other/x": "",
            "x-1.dist-info/RECORD": "",
        }.items():
            wheel.writestr(name, data)
    inspection = box.look(
        name="x-1", kind="tool", recipe="wheel", prefix=None, format="zip", links={"z": "bin/y"}
    )
    assert list(by_path(inspection)) == [
        "x/__init__.py",
        "bin/x",
        "bin/y",
        "bin/z",
        "share/man/x.1",
        "p.py",
        "q.py",
        "include/x/x.h",
        "x-1.dist-info/RECORD",
    ]
    assert by_path(inspection)["bin/x"].mode == "755"
    assert by_path(inspection)["p.py"].mode == "644"
    assert inspection.links == {"x": "bin/x"}
    assert dropped(inspection) == {"x-1.data/other/x": "outside of the folder that is installed"}
    assert inspection.interpreter is None


def test_the_prefix_of_a_tool_is_put_into_its_text(box):
    inspection = box.tool(
        file("tool/bin/run", b"#!/bin/sh\nexec /opt/tool/lib/run\n", 0o755),
        file("tool/lib/run", ELF + b"/opt/tool/"),
        file("tool/doc", b"/opt/tools"),
        prefix="/opt/tool",
    )
    entries = by_path(inspection)
    assert [place.escaping for place in entries["bin/run"].template.places] == ["shell"]
    assert entries["lib/run"].kept.startswith("unknown: a binary file")
    assert entries["doc"].kept.startswith("no path")


def test_the_prefix_is_found_across_the_borders_of_chunks(box, monkeypatch):
    monkeypatch.setattr(inspection_scan, "FILE_LIMIT", 1000)
    members = [
        file(f"x/{offset}", b"\0" * 2000 + b"-" * offset + b"/opt/tool" + b"-" * 3000)
        for offset in (*range(16), 998, 65530)
    ]
    entries = by_path(
        box.tool(*members, file("x/none", b"\0" + b"/opt/too" * 999), prefix="/opt/tool")
    )
    assert entries.pop("none").kept is None
    assert all(entry.kept is not None for entry in entries.values())


def test_a_text_too_large_to_be_rewritten_is_named(box, monkeypatch):
    monkeypatch.setattr(inspection_scan, "FILE_LIMIT", 1000)
    monkeypatch.setattr("sealift_bundler.inspection_relocate.FILE_LIMIT", 1000)
    entries = by_path(box.tool(file("x/a", b"/opt/tool\n" * 999), prefix="/opt/tool"))
    assert entries["a"].kept.endswith("too large to be rewritten")


def test_what_is_held_is_bounded(box, monkeypatch):
    monkeypatch.setattr(inspection_scan, "HELD_LIMIT", 50)
    members = [file(f"x/{number}", b"/opt/tool\n") for number in range(6)]
    with pytest.raises(Damaged, match="more than 50 bytes of text name the prefix"):
        box.tool(*members, prefix="/opt/tool")


def needs(*needed, program=False, soname=None, glibc=None, machine="EM_X86_64"):
    return ElfNeeds(machine, program, soname, needed, glibc)


def demanded(box, files, names=(), **changes):
    found = find_requirements(replace(box.lock, **changes), files, [*files, *names])
    return found.glibc, found.libraries


def test_the_host_is_asked_for_what_programs_load(box):
    files = {
        "bin/x": needs("liba.so.1", "libc.so.6", "libz.so.1", program=True, glibc=(2, 17)),
        "lib/liba.so.1.2": needs("libgone.so", soname="liba.so.1", glibc=(2, 28)),
        "lib/gui.so": needs("libX11.so.6", glibc=(2, 34)),
        "lib/arm.so": needs("libarm.so", machine="EM_AARCH64", glibc=(2, 99)),
        "lib/linked": needs(),
    }
    assert demanded(box, files, kind="tool") == ("2.28", ("libgone.so", "libz.so.1"))
    assert demanded(box, files, kind="interpreter")[0] == "2.34"
    assert demanded(box, files, ["lib/libz.so.1"], kind="tool")[1] == ("libgone.so",)
    assert demanded(box, files, platform="linux-x86_64-musl", kind="tool")[0] is None
    assert demanded(box, files, platform="macos-aarch64-none") == (None, ())
    assert demanded(box, files, platform="any") == (None, ())


def test_without_a_program_all_libraries_count(box):
    files = {"x.so": needs("liba.so.1", "/odd/path.so"), "y.so": needs("libb.so.1")}
    assert demanded(box, files, kind="tool")[1] == ("liba.so.1", "libb.so.1")


def test_a_captured_interpreter_needs_what_its_modules_load(box):
    files = {
        "bin/python3.13": needs("libc.so.6", program=True),
        "lib/python3.13/lib-dynload/_ssl.cpython-313.so": needs("libssl.so.3"),
        "lib/python3.13/lib-dynload/_tkinter.cpython-313.so": needs("libtk8.6.so"),
    }
    assert demanded(box, files, source="captured")[1] == ("libssl.so.3",)
    assert demanded(box, files)[1] == ()


def test_a_real_program_is_read(box):
    shell = Path(shutil.which("sh") or "/bin/sh").resolve()
    if not shell.read_bytes().startswith(elf_needs.MAGIC) or not os.confstr("CS_GNU_LIBC_VERSION"):
        pytest.skip("needs a shell that is an ELF file for glibc")
    inspection = box.tool(
        file("x/bin/sh", shell.read_bytes(), 0o755), platform=f"linux-{machine()}-gnu"
    )
    assert inspection.requires.glibc is not None
    with shell.open("rb") as stream:
        found = read_needs(stream)
    assert found.program
    assert "libc.so.6" in found.needed


def machine():
    return os.uname().machine


@pytest.mark.parametrize("cut", [4, 20, 64, 100, 1000, 5000])
def test_a_broken_elf_file_is_no_reason_to_stop(cut):
    program = Path(shutil.which("sh") or "/bin/sh").read_bytes()
    damaged = program[:cut] + b"\xff" * 2000
    found = read_needs(io.BytesIO(damaged))
    assert found is None or isinstance(found, ElfNeeds)


@pytest.mark.parametrize("write", [sparse.old, sparse.version_00, sparse.version_10])
def test_a_file_with_holes_is_indexed_with_all_of_its_bytes(box, write):
    box.path.write_bytes(write(b"x/a") + member(b"x/b") + END)
    tool = {"name": "x-1", "kind": "tool", "recipe": "generic", "prefix": None, "build": None}
    entry = by_path(box.look(**tool))["a"]
    assert (entry.size, entry.sha256) == (
        len(sparse.WHOLE),
        hashlib.sha256(sparse.WHOLE).hexdigest(),
    )


@pytest.mark.parametrize(
    ("data", "refused"),
    [
        (sparse.version_10(b"a", ((10**15, 0),), 10**15, b""), "it unpacks to more than"),
        (sparse.old(b"a", ((10**10, 0),), 10**10, b""), "say that they unpack to 10000000000"),
        (sparse.version_01(b"a", ((512, 512), (0, 300))), "overlap, or are out of order"),
        (
            pax((b"comment", b"c" * 1_000_000), kind=b"g") * 19 + member(b"a"),
            "to more than 17891329 b",
        ),
        (header(b"./", b"5") * 30 + member(b"a"), "it has more than 20 members"),
    ],
)
def test_what_a_target_would_refuse_is_refused_here(box, data, refused):
    box.path.write_bytes(data + END)
    with pytest.raises(Damaged, match=refused):
        box.look(name="x-1", kind="tool", recipe="generic", prefix=None, build=None)
