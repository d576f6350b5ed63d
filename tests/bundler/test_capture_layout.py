import json

import pytest

from captured_system import TRIPLET, facts_of, populate, write
from elf_builder import build_elf
from sealift_bundler.relocation.elf import read_elf
from sealift_bundler.sources import capture_layout
from sealift_bundler.sources.capture import Collector
from sealift_bundler.sources.capture_ask import Facts
from sealift_bundler.sources.capture_layout import lay_out
from sealift_bundler.sources.capture_rewrite import Rewriter
from sealift_installer.errors import HostError, UsageError


@pytest.fixture
def usr(tmp_path):
    return tmp_path / "usr"


@pytest.fixture
def shared(usr, monkeypatch):
    """Facts of an interpreter in a prefix that the whole system shares."""
    monkeypatch.setattr(capture_layout, "_SHARED", frozenset({str(usr)}))
    return facts_of(usr, populate(usr))


@pytest.fixture
def items(shared):
    return Collector(lay_out(shared)).collect()


def text(items, place):
    return items[place].read().decode()


def test_only_the_interpreters_parts_are_taken(items):
    assert sorted(items) == sorted(
        [
            "bin/pydoc3",
            "bin/pydoc3.11",
            "bin/python",
            "bin/python3",
            "bin/python3-config",
            "bin/python3.11",
            "bin/python3.11-config",
            "include/python3.11/pyconfig.h",
            f"include/python3.11/{TRIPLET}/python3.11/pyconfig.h",
            "lib/libpython3.11.so",
            "lib/libpython3.11.so.1.0",
            "lib/pkgconfig/python-3.11.pc",
            "lib/pkgconfig/python3.pc",
            "lib/python3.11/_sysconfigdata__linux.py",
            "lib/python3.11/_sysconfigdata__x.py",
            f"lib/python3.11/config-3.11-{TRIPLET}/Makefile",
            f"lib/python3.11/config-3.11-{TRIPLET}/libpython3.11.so",
            "lib/python3.11/alias",
            "lib/python3.11/copied.txt",
            "lib/python3.11/ensurepip/__init__.py",
            "lib/python3.11/ensurepip/_bundled/pip-23.0.1-py3-none-any.whl",
            "lib/python3.11/lib-dynload/_ssl.so",
            "lib/python3.11/os.py",
            "lib/python3.11/platform.py",
            "lib/python3.11/unittest/case.py",
            "lib/python3/dist-packages/pip-23.0.1.dist-info/METADATA",
            "lib/python3/dist-packages/pip/__init__.py",
        ]
    )


def test_links_stay_within_and_others_are_copied(items, usr):
    assert items["bin/python"].target == "python3.11"
    assert items["lib/python3.11/_sysconfigdata__linux.py"].target == "_sysconfigdata__x.py"
    assert items["lib/libpython3.11.so"].target == "libpython3.11.so.1.0"
    library = items[f"lib/python3.11/config-3.11-{TRIPLET}/libpython3.11.so"]
    assert library.target == "../../libpython3.11.so"
    assert items["bin/python3.11-config"].target == ""
    assert items["lib/python3.11/alias"].target == "unittest"
    assert text(items, "lib/python3.11/copied.txt") == "from elsewhere"


def test_modes_know_executable_or_not(items):
    assert items["bin/python3.11"].executable
    assert items["bin/pydoc3.11"].executable
    assert not items["lib/python3.11/os.py"].executable


def test_first_lines_call_the_captured_interpreter_and_env_stays(items, usr):
    assert text(items, "bin/pydoc3.11") == "#! /install/bin/python3.11\nimport pydoc\n"
    assert text(items, "lib/python3.11/os.py") == "#! /usr/bin/env python3\n"
    platform = text(items, "lib/python3.11/platform.py")
    assert platform == f"#! /install/bin/python3.11\nwhere = '{usr}/bin/python3.11'\n"


def test_assignments_are_rewritten_by_name_and_the_hosts_tools_stay(items, usr):
    config = text(items, "bin/python3.11-config")
    install = f"INSTALL={usr}/bin/install -c\n"
    assert config == f'prefix="/install"\nlibdir=$(echo "/install/lib")\n{install}'
    makefile = text(items, f"lib/python3.11/config-3.11-{TRIPLET}/Makefile")
    assert makefile == f"prefix=\t/install\nINSTALL=\t{usr}/bin/install -c\n"
    pc = text(items, "lib/pkgconfig/python-3.11.pc")
    lines = ["prefix=/install", "libdir=${prefix}/lib", "Cflags: -I${includedir}/python3.11", ""]
    assert pc.split("\n") == lines


def test_sysconfig_is_rewritten_by_key(items, usr):
    header, _, body = text(items, "lib/python3.11/_sysconfigdata__x.py").partition("\n")
    assert header == "# system configuration generated and used by the sysconfig module"
    data = json.loads(body.removeprefix("build_time_vars = "))
    assert list(data) == sorted(data)
    assert data["prefix"] == "/install"
    assert data["LIBDIR"] == "/install/lib"
    assert data["LIBPC"] == "/install/lib/pkgconfig"
    assert data["LIBPL"] == f"/install/lib/python3.11/config-3.11-{TRIPLET}"
    assert data["DESTSHARED"] == "/install/lib/python3.11/lib-dynload"
    assert data["WHEEL_PKG_DIR"] == "/install/lib/python3.11/ensurepip/_bundled"
    assert data["INSTALL"] == f"{usr}/bin/install -c"
    assert data["TZPATH"] == f"{usr}/share/zoneinfo"
    expected = f"'--prefix=/install' '--libdir=/install/lib' 'CC={usr}/bin/gcc'"
    assert data["CONFIG_ARGS"] == expected
    expected = f"-I/install/include/python3.11 -I{usr}/include/tirpc -L{usr}/lib"
    assert data["CFLAGS"] == expected
    assert data["WASM_STDLIB"] == "./install/lib/python3.11/os.py"
    assert data["HAVE_FORK"] == 1


def test_a_private_prefix_is_rewritten_wherever_it_stands(usr):
    facts = facts_of(usr, populate(usr))
    rewriter = Rewriter(lay_out(facts))
    flags = f"-L{usr}/lib -Wl,-rpath,{usr}/lib 'LDFLAGS=-L{usr}/lib' -I{usr}"
    expected = "-L/install/lib -Wl,-rpath,/install/lib 'LDFLAGS=-L/install/lib' -I/install"
    assert rewriter.setting("LDFLAGS", flags) == expected
    unlike = f"{usr}-other {usr}.old /x{usr}/lib ${{HOME}}{usr} {usr}2"
    assert rewriter.setting("LDFLAGS", unlike) == unlike


def test_a_private_prefix_gives_the_libraries_that_are_needed(usr):
    stdlib = populate(usr)
    needs = build_elf(b"\0libssl.so.3\0libc.so.6\0", [("NEEDED", 1), ("NEEDED", 13)])
    write(stdlib / "lib-dynload/_ssl.so", needs)
    items = Collector(lay_out(facts_of(usr, stdlib))).collect()
    libraries = [place for place in items if place.startswith(f"lib/{TRIPLET}/lib")]
    names = {place.rpartition("/")[2] for place in libraries}
    assert names == {"libpython3.11.so", "libpython3.11.so.1.0", "libssl.so.3"}


@pytest.mark.parametrize("old", ["lib/x86_64-linux-gnu", "lib/python3.11"])
def test_run_paths_become_relative(usr, old):
    stdlib = populate(usr)
    path = f"{usr}/{old}".encode()
    write(stdlib / "lib-dynload/_ssl.so", build_elf(b"\0" + path + b"\0", [("RUNPATH", 1)]))
    items = Collector(lay_out(facts_of(usr, stdlib))).collect()
    facts = read_elf(items["lib/python3.11/lib-dynload/_ssl.so"].read())
    expected = {"lib/python3.11": "$ORIGIN/.."}.get(old, f"$ORIGIN/../../{TRIPLET}")
    assert facts is not None
    assert facts.run_path == (expected,)


def test_a_run_path_without_room_is_told(usr, monkeypatch):
    stdlib = populate(usr)
    write(stdlib / "lib-dynload/_ssl.so", build_elf(b"\0/p\0", [("RUNPATH", 1)]))
    facts = facts_of(usr, stdlib)
    collector = Collector(lay_out(facts))
    monkeypatch.setattr(collector, "_run_path", lambda place, entry: "$ORIGIN/../lib")
    items = collector.collect()
    with pytest.raises(HostError, match=r"cannot capture .*_ssl\.so: .* has no room"):
        items["lib/python3.11/lib-dynload/_ssl.so"].read()


def test_a_program_without_a_run_path_gets_one(shared, usr):
    program = build_elf(b"\0libpython3.11.so.1.0\0", [("NEEDED", 1)], spare=1)
    elf = read_elf(program)
    assert elf is not None
    fields = {name: getattr(shared, name) for name in Facts.__dataclass_fields__} | {"elf": elf}
    facts = Facts(**fields)
    write(usr / "bin/python3.11", program + bytes(64), 0o755)
    captured = read_elf(Collector(lay_out(facts)).collect()["bin/python3.11"].read())
    assert captured is not None
    assert captured.run_path == ("$ORIGIN/../lib",)
    # Where the linker left no room, it is told.
    write(usr / "bin/python3.11", program, 0o755)
    items = Collector(lay_out(facts)).collect()
    with pytest.raises(HostError, match=r"cannot capture .*python3\.11: there is no padding"):
        items["bin/python3.11"].read()


def test_a_build_tree_is_not_captured(usr):
    stdlib = populate(usr)
    (stdlib / "os.py").unlink()
    with pytest.raises(UsageError, match="the standard library is not below the prefix"):
        lay_out(facts_of(usr, stdlib))


def test_a_pip_from_elsewhere_is_not_taken(usr, tmp_path):
    stdlib = populate(usr)
    write(usr / "bin/pip3", f"#!{usr}/bin/python3\nimport pip\n", 0o755)
    write(tmp_path / "home/pip/__init__.py")
    inside = Collector(lay_out(facts_of(usr, stdlib))).collect()
    assert text(inside, "bin/pip3") == "#!/install/bin/python3.11\nimport pip\n"
    facts = facts_of(usr, stdlib, pip=tmp_path / "home/pip", pip_metadata=None)
    assert [place for place in Collector(lay_out(facts)).collect() if "pip" in place] == [
        "lib/python3.11/ensurepip/__init__.py",
        "lib/python3.11/ensurepip/_bundled/pip-23.0.1-py3-none-any.whl",
    ]


def test_the_metadata_of_pip_may_be_one_file(usr):
    stdlib = populate(usr)
    metadata = write(usr / "lib/python3/dist-packages/pip-20.egg-info", "Name: pip")
    items = Collector(lay_out(facts_of(usr, stdlib, pip_metadata=metadata))).collect()
    assert text(items, "lib/python3/dist-packages/pip-20.egg-info") == "Name: pip"


def test_json_files_of_sysconfig_are_rewritten(shared, usr):
    rewriter = Rewriter(lay_out(shared))
    details = {
        "base_prefix": str(usr),
        "base_interpreter": f"{usr}/bin/python3.11",
        "c_api": {"headers": f"{usr}/include/python3.11", "pkgconfig_path": None},
        "tools": [f"{usr}/bin/gcc"],
    }
    assert json.loads(rewriter.json(json.dumps(details))) == {
        "base_prefix": "/install",
        "base_interpreter": "/install/bin/python3.11",
        "c_api": {"headers": "/install/include/python3.11", "pkgconfig_path": None},
        "tools": [f"{usr}/bin/gcc"],
    }


def test_a_long_path_that_pip_wrapped_is_rewritten(shared, usr):
    wrapped = f"#!/bin/sh\n'''exec' \"{usr}/bin/python3.11\" \"$0\" \"$@\"\n' '''\nimport pip\n"
    renewed = Rewriter(lay_out(shared)).shebang(wrapped.encode()).decode()
    assert renewed == wrapped.replace(f"{usr}/bin", "/install/bin")
