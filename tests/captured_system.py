"""A system whose prefix an interpreter shares, in Debian's shape, built from nothing."""

from elf_builder import build_elf
from sealift_bundler.relocation.elf import read_elf
from sealift_bundler.sources.capture_ask import Facts
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
