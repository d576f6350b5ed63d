import ast
import shlex
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealift_bundler.relocation import Kept, Rewrite, relocate
from sealift_bundler.relocation.sysconfig import HEADER, normal_value, read_variables
from sealift_installer.relocation import recover, render

PATH = "lib/python3.13/_sysconfigdata__linux_x86_64-linux-gnu.py"
AWKWARD = '/opt/a b/$HOME/#1/it\'s/"q"/`x`/back\\slash/ü'


def split_quoted(line):
    """Split as distutils does, where setuptools brings it along."""
    util = pytest.importorskip("setuptools._distutils.util", reason="needs setuptools")
    return util.split_quoted(line)


def sysconfigdata(**variables):
    return (HEADER + f"build_time_vars = {variables!r}\n").encode()


def rewritten(real, /, **variables):
    result = relocate("cpython", PATH, sysconfigdata(**variables), "/install")
    assert isinstance(result, Rewrite)
    return render(result.template, result.places, real).decode()


def values(text):
    assert text.startswith(HEADER)
    return ast.literal_eval(text.removeprefix(HEADER + "build_time_vars = "))


def test_the_text_is_what_uv_writes():
    text = rewritten("/real", prefix="/install", LIBDIR="/install/lib", Z=-1, ABIFLAGS="")
    assert text == (
        "# system configuration generated and used by the sysconfig module\n"
        "build_time_vars = {\n"
        '    "ABIFLAGS": "",\n'
        '    "LIBDIR": "/real/lib",\n'
        '    "PYTHON_BUILD_STANDALONE": 1,\n'
        '    "Z": -1,\n'
        '    "prefix": "/real"\n'
        "}\n"
    )


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("CC", "clang -pthread", "cc -pthread"),
        ("LINKCC", "musl-clang", "cc"),
        ("LDSHARED", "/usr/bin/x86_64-linux-gnu-gcc -shared", "cc -shared"),
        ("BLDSHARED", "clang -isysroot /sdk -bundle", "cc -bundle"),
        ("CXX", "clang++ -pthread", "c++ -pthread"),
        ("LDCXXSHARED", "/usr/bin/aarch64-linux-gnu-g++", "c++"),
        ("AR", "/tools/llvm/bin/llvm-ar rcs", "ar"),
        ("CC", "clang-18", "clang-18"),
        ("CFLAGS", "-isysroot", ""),
        ("MAINCC", "clang", "clang"),
        ("OPT", "  -O3 \t -Wall\n", "-O3 -Wall"),
    ],
)
def test_the_compilers_of_the_build_are_replaced(name, value, expected):
    assert normal_value(name, value) == expected
    assert values(rewritten("/real", **{name: value}))[name] == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("/install", "/real"),
        ("/install /install/lib", "/real /real/lib"),
        ("-I/install/include -L/install/lib", "-I/real/include -L/real/lib"),
        ("-Wl,-rpath,/install/lib", "-Wl,-rpath,/real/lib"),
        ("'--prefix=/install' '--libdir=/install/lib'", "'--prefix=/real' '--libdir=/real/lib'"),
        ("/install/zone:/usr/zone:/install/z", "/real/zone:/usr/zone:/real/z"),
        # Words that only look like it.
        ("/installed/lib", "/installed/lib"),
        ("/usr/bin/install -c", "/usr/bin/install -c"),
        ("./install/lib", "./install/lib"),
        ("--with-ensurepip=install", "--with-ensurepip=install"),
        ("/install-sh", "/install-sh"),
        ("https://example.org/install/", "https://example.org/install/"),
        ("-DX-I/install", "-DX-I/install"),
    ],
)
def test_the_prefix_is_found_where_it_is_a_path(value, expected):
    assert values(rewritten("/real", NAME=value))["NAME"] == expected


def test_one_path_is_written_as_it_is():
    assert values(rewritten(AWKWARD, LIBDIR="/install/lib"))["LIBDIR"] == f"{AWKWARD}/lib"


@pytest.mark.parametrize("split", [shlex.split, split_quoted])
@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("CFLAGS", "-I/install/include", ["-I{}/include"]),
        ("LDFLAGS", "-L/install/lib -lm", ["-L{}/lib", "-lm"]),
        ("DESTDIRS", "/install /install/lib", ["{}", "{}/lib"]),
        ("CC", "/install/bin/cc", ["{}/bin/cc"]),
        ("X", "'-I/install/include' -O2", ["-I{}/include", "-O2"]),
    ],
)
def test_words_of_a_command_line_stay_whole(split, name, value, words):
    assert split(values(rewritten(AWKWARD, **{name: value}))[name]) == [
        word.format(AWKWARD) for word in words
    ]


def test_arguments_of_configure_stay_whole_and_so_do_the_flags_in_them():
    value = "'--prefix=/install' '--with-x' 'LDFLAGS=-L/install/lib -lm' \"CC=/install/bin/cc -O\""
    line = values(rewritten(AWKWARD, CONFIG_ARGS=value))["CONFIG_ARGS"]
    # A shell, for shlex leaves the backslash before a dollar sign in double quotes.
    command = ["/bin/sh", "-c", f"printf '%s\\n' {line}"]
    words = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert words[:2] == [f"--prefix={AWKWARD}", "--with-x"]
    assert shlex.split(words[2].removeprefix("LDFLAGS=")) == [f"-L{AWKWARD}/lib", "-lm"]
    assert shlex.split(words[3].removeprefix("CC=")) == [f"{AWKWARD}/bin/cc", "-O"]


@pytest.mark.parametrize(
    "data",
    [
        b"build_time_vars = {'prefix': '/install'}\n",
        HEADER.encode() + b"build_time_vars = {'prefix': '/install', 'f': 1.5}\n",
        HEADER.encode() + b"build_time_vars = {'prefix': open('/install')}\n",
        HEADER.encode() + b"build_time_vars = {'prefix': '/install'}\nimport os\n",
        HEADER.encode() + b"build_time_vars = {'prefix': '/install'\n",
        HEADER.encode() + b"build_time_vars = " + b"(" * 500,
        HEADER.encode() + b"build_time_vars = {'prefix': '/install'}" + b"\n" * 3_000_000,
        HEADER.encode() + b"build_time_vars = {1: '/install'}\n",
        b"",
    ],
    ids=range(9),
)
def test_another_form_is_not_read(data):
    assert read_variables(data) is None


def test_another_form_keeps_its_text_but_for_the_prefix():
    data = b"build_time_vars = {'prefix': '/install', 'f': 1.5, 'i': 'x/install'}\n"
    result = relocate("cpython", PATH, data, "/install")
    assert isinstance(result, Rewrite)
    text = render(result.template, result.places, AWKWARD).decode()
    assert ast.literal_eval(text.removeprefix("build_time_vars = ")) == {
        "prefix": AWKWARD,
        "f": 1.5,
        "i": "x/install",
    }
    nothing = relocate("cpython", PATH, b"x = 'x/install'", "/install")
    assert isinstance(nothing, Kept)
    assert nothing.reason.startswith("no path")


WORDS = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"))),
    st.sampled_from(["/install", "-I/install/x", "'--prefix=/install'", "\\", '"', "-isysroot"]),
)
PREFIXES = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"))).map(
    lambda text: f"/{text}/key"
)


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), WORDS), PREFIXES)
def test_what_is_written_can_be_read_and_taken_back(variables, prefix):
    result = relocate("cpython", PATH, sysconfigdata(**variables), "/install")
    assert isinstance(result, Rewrite)
    installed = render(result.template, result.places, prefix)
    assert recover(installed, result.places, prefix) == result.template
    assert set(values(installed.decode())) == {*variables, "PYTHON_BUILD_STANDALONE"}


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), WORDS))
def test_rewriting_twice_changes_nothing(variables):
    first = rewritten("/real", **variables)
    again = relocate("cpython", PATH, first.encode(), "/install")
    assert (
        isinstance(again, Kept) or render(again.template, again.places, "/real") == first.encode()
    )
