"""A system whose prefix the interpreter shares, in Debian's shape, built from nothing."""

import json

import pytest

from elf_builder import build_elf
from sealift_bundler.relocation.elf import read_elf
from sealift_bundler.sources import capture_layout
from sealift_bundler.sources.capture import Collector
from sealift_bundler.sources.capture_ask import Facts
from sealift_bundler.sources.capture_layout import lay_out
from sealift_bundler.sources.capture_rewrite import Rewriter
from sealift_installer.errors import HostError, UsageError
from sealift_schemas.keys import InstallKey

TRIPLET = "x86_64-linux-gnu"
KEY = InstallKey.parse("cpython-3.11.2-linux-x86_64-gnu")
PROGRAM = build_elf(b"\0libc.so.6\0", [("NEEDED", 1)])


def write(path, content="", mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(mode)
    return path


def link(path, target):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def populate(usr):
    """Lay out one version of Python among other things."""
    stdlib = usr / "lib/python3.11"
    write(usr / "bin/python3.11", PROGRAM, 0o755)
    link(usr / "bin/python3", "python3.11")
    write(usr / "bin/env", "not ours", 0o755)
    write(usr / "bin/pydoc3.11", f"#! {usr}/bin/python3.11\nimport pydoc\n", 0o755)
    config = f'prefix="{usr}"\nlibdir=$(echo "{usr}/lib/{TRIPLET}")\nINSTALL={usr}/bin/install -c\n'
    write(usr / f"bin/{TRIPLET}-python3.11-config", config, 0o755)
    link(usr / "bin/python3.11-config", f"{TRIPLET}-python3.11-config")
    write(usr / f"lib/{TRIPLET}/libpython3.11.so.1.0", PROGRAM)
    link(usr / f"lib/{TRIPLET}/libpython3.11.so", "libpython3.11.so.1.0")
    write(usr / f"lib/{TRIPLET}/libssl.so.3", PROGRAM)
    pc = f"prefix={usr}\nlibdir=${{prefix}}/lib/{TRIPLET}\nCflags: -I${{includedir}}/python3.11\n"
    write(usr / f"lib/{TRIPLET}/pkgconfig/python-3.11.pc", pc)
    link(usr / f"lib/{TRIPLET}/pkgconfig/python3.pc", "python-3.11.pc")
    write(usr / "include/python3.11/pyconfig.h", "wrapper")
    write(usr / f"include/{TRIPLET}/python3.11/pyconfig.h", "real")
    write(usr / "include/stdio.h", "not ours")
    write(stdlib / "os.py", "#! /usr/bin/env python3\n")
    write(stdlib / "platform.py", f"#! {usr}/bin/python3.11\nwhere = '{usr}/bin/python3.11'\n")
    write(stdlib / "__pycache__/os.cpython-311.pyc", b"")
    write(stdlib / "EXTERNALLY-MANAGED", "the host's")
    link(stdlib / "sitecustomize.py", "/etc/python3.11/sitecustomize.py")
    write(stdlib / "test/test_os.py")
    write(stdlib / "unittest/test/test_case.py")
    write(stdlib / "unittest/case.py")
    write(stdlib / "lib-dynload/_ssl.so", PROGRAM)
    write(stdlib / "lib-dynload/_testcapi.cpython-311.so", PROGRAM)
    write(stdlib / "dist-packages/theirs.py")
    write(stdlib / "_sysconfigdata__x.py", "rewritten")
    link(stdlib / "_sysconfigdata__linux.py", "_sysconfigdata__x.py")
    write(stdlib / "ensurepip/__init__.py")
    link(stdlib / "copied.txt", usr / "share/doc/copied.txt")
    write(usr / "share/doc/copied.txt", "from elsewhere")
    link(stdlib / "dangling.txt", "nowhere")
    link(stdlib / "alias", "unittest")
    link(stdlib / "tests-alias", "test")
    write(usr / "share/python-wheels/pip-23.0.1-py3-none-any.whl", "wheel")
    write(usr / "share/python-wheels/other-1-py3-none-any.whl", "other")
    config_folder = stdlib / f"config-3.11-{TRIPLET}"
    write(config_folder / "Makefile", f"prefix=\t{usr}\nINSTALL=\t{usr}/bin/install -c\n")
    write(config_folder / "libpython3.11.a")
    link(config_folder / "libpython3.11.so", f"../../{TRIPLET}/libpython3.11.so")
    write(usr / "lib/python3/dist-packages/pip/__init__.py")
    write(usr / "lib/python3/dist-packages/pip/__pycache__/x.pyc")
    write(usr / "lib/python3/dist-packages/pip-23.0.1.dist-info/METADATA", "Name: pip")
    write(usr / "lib/python3/dist-packages/apt/__init__.py")
    return stdlib


def facts_of(usr, stdlib, **changes):
    settings = {
        "prefix": str(usr),
        "BINDIR": f"{usr}/bin",
        "LIBDIR": f"{usr}/lib/{TRIPLET}",
        "LIBPC": f"{usr}/lib/{TRIPLET}/pkgconfig",
        "LIBPL": f"{stdlib}/config-3.11-{TRIPLET}",
        "LDLIBRARY": "libpython3.11.so",
        "INSTSONAME": "libpython3.11.so.1.0",
        "MULTIARCH": TRIPLET,
        "INCLUDEPY": f"{usr}/include/python3.11",
        "INCLUDEDIR": f"{usr}/include",
        "LIBDEST": str(stdlib),
        "DESTSHARED": f"{stdlib}/lib-dynload",
        "WHEEL_PKG_DIR": f"{usr}/share/python-wheels/",
        "INSTALL": f"{usr}/bin/install -c",
        "TZPATH": f"{usr}/share/zoneinfo",
        "CONFIG_ARGS": f"'--prefix={usr}' '--libdir={usr}/lib/{TRIPLET}' 'CC={usr}/bin/gcc'",
        "CFLAGS": f"-I{usr}/include/python3.11 -I{usr}/include/tirpc -L{usr}/lib",
        "WASM_STDLIB": f".{stdlib}/os.py",
        "HAVE_FORK": 1,
    }
    elf = read_elf(PROGRAM)
    assert elf is not None
    values = {
        "executable": usr / "bin/python3.11",
        "key": KEY,
        "prefix": usr,
        "stdlib": stdlib,
        "platstdlib": stdlib,
        "include": usr / "include/python3.11",
        "scripts": usr / "local/bin",
        "settings": settings,
        "data": settings,
        "data_file": stdlib / "_sysconfigdata__x.py",
        "pip": usr / "lib/python3/dist-packages/pip",
        "pip_metadata": usr / "lib/python3/dist-packages/pip-23.0.1.dist-info",
        "elf": elf,
    }
    return Facts(**(values | changes))


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
