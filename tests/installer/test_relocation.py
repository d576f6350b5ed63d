"""The prefix goes in as each syntax reads it, and comes out again."""

import ast
import json
import shlex
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealift_installer.errors import HostError
from sealift_installer.relocation import check_prefix, escape, recover, render
from sealift_schemas.index import ESCAPINGS, Place

AWKWARD = """/opt/a b/it's/"q"/$HOME/#1/`x`/\\/!/*?[a]/{b}/~/é/&;|<>()/=,:@%+"""
prefixes = st.one_of(
    st.just(AWKWARD),
    st.text(
        st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from("$#\\'\"` /"), max_size=30
    ).map(lambda text: f"/{text}"),
)
escapings = st.lists(st.sampled_from(ESCAPINGS), min_size=1, max_size=3).map("+".join)


@st.composite
def templates(draw):
    data = draw(st.binary(max_size=60))
    offsets = sorted(draw(st.lists(st.integers(0, len(data)), max_size=6)))
    return data, tuple(Place(offset, draw(escapings)) for offset in offsets)


@given(templates(), prefixes)
def test_what_was_rendered_is_recovered(template, prefix):
    data, places = template
    installed = render(data, places, prefix)
    assert recover(installed, places, prefix) == data
    added = sum(len(escape(prefix, place.escaping)) for place in places)
    assert len(installed) == len(data) + added


@given(templates(), prefixes, st.binary(max_size=80))
def test_only_what_was_rendered_is_recovered(template, prefix, other):
    _, places = template
    recovered = recover(other, places, prefix)
    assert recovered is None or render(recovered, places, prefix) == other


def test_a_changed_prefix_is_not_recovered():
    places = (Place(7, "raw"),)
    installed = render(b"prefix=\n", places, "/a")
    assert installed == b"prefix=/a\n"
    assert recover(installed, places, "/b") is None
    assert recover(installed[:-1], (Place(8, "raw"),), "/a") is None


def test_places_at_one_offset_follow_each_other():
    assert render(b"ab", (Place(1, "raw"), Place(1, "json")), "/p") == b"a/p/pb"


@given(prefixes)
def test_a_shell_reads_the_prefix_back(prefix):
    assert shlex.split(escape(prefix, "shell").decode()) == [prefix]
    assert shlex.split(f"'{escape(prefix, 'shell-single').decode()}'") == [prefix]
    # In double quotes shlex knows fewer escapes than a shell (POSIX 2.2.3); a shell is asked below.
    simple = prefix.replace("$", "").replace("`", "")
    assert shlex.split(f'"{escape(simple, "shell-double").decode()}"') == [simple]


@given(prefixes)
def test_json_and_python_read_the_prefix_back(prefix):
    assert json.loads(b'"%b"' % escape(prefix, "json")) == prefix
    for quote in ("'", '"'):
        assert ast.literal_eval(quote + escape(prefix, "python").decode() + quote) == prefix
    assert ast.literal_eval('"' + escape(prefix, "python-double").decode() + '"') == prefix


@given(prefixes)
def test_a_flag_inside_of_a_python_literal_survives_both(prefix):
    literal = f'"cc -I{escape(prefix, "shell+python-double").decode()}/include"'
    assert shlex.split(ast.literal_eval(literal)) == ["cc", f"-I{prefix}/include"]


def test_a_real_shell_reads_the_prefix_back():
    script = "printf '%s\\n' {} '{}' \"{}\"".format(
        *(escape(AWKWARD, name).decode() for name in ("shell", "shell-single", "shell-double"))
    )
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=True)
    assert done.stdout.decode().splitlines() == [AWKWARD] * 3


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
@pytest.mark.parametrize("prefix", [AWKWARD, "/a\\#b", "/a\\\\#$$b", "/plain"])
def test_make_reads_the_prefix_back(tmp_path, prefix):
    makefile = tmp_path / "Makefile"
    value, quoted = escape(prefix, "make"), escape(prefix, "shell+make")
    makefile.write_bytes(
        b"prefix=%b\nflags=-I%b/include\nexport prefix\n"
        b"all:\n\t@printf '%%s\\n' \"$$prefix\" $(flags)\n" % (value, quoted)
    )
    done = subprocess.run(
        ["make", "-s", "-f", makefile], capture_output=True, check=True, cwd=tmp_path
    )
    assert done.stdout.decode().splitlines() == [prefix, f"-I{prefix}/include"]


@pytest.mark.skipif(
    not (shutil.which("pkg-config") or shutil.which("pkgconf")), reason="there is no pkg-config"
)
def test_pkg_config_reads_the_prefix_back(tmp_path):
    prefix = "/opt/a b/it's/$HOME/$$/${x}/#1/ #2/&;/\\/end"
    (tmp_path / "sample.pc").write_bytes(
        b"prefix=%b\nName: x\nDescription: x\nVersion: 1\nCflags: -I${prefix}/include\n"
        % escape(prefix, "pc")
    )
    program = shutil.which("pkg-config") or "pkgconf"
    done = subprocess.run(
        [program, "--cflags", "sample"],  # pkgconf 2.5 finds no name of one letter
        capture_output=True,
        check=True,
        env={"PKG_CONFIG_PATH": str(tmp_path)},
    )
    assert shlex.split(done.stdout.decode()) == [f"-I{prefix}/include"]


def test_an_ordinary_prefix_is_written_as_it_is():
    for escaping in ESCAPINGS:
        assert escape("/opt/sealift/installs/cpython-3.13.3+x", escaping) == (
            b"/opt/sealift/installs/cpython-3.13.3+x"
        )


def test_an_unknown_escaping_is_a_defect():
    with pytest.raises(ValueError, match="not an escaping: 'xml'"):
        escape("/p", "raw+xml")


@pytest.mark.parametrize(
    ("prefix", "message"),
    [
        ("relative/path", "not an absolute path: relative/path"),
        ("/a\nb", r"control character in it: /a\\nb"),
        ("/a\x7fb", "control character"),
        ("/a\udcffb", r"not UTF-8: /a\\xffb"),
    ],
)
def test_a_prefix_that_cannot_be_written_is_refused(prefix, message):
    with pytest.raises(HostError, match=message):
        check_prefix(prefix)


def test_prefixes_with_spaces_and_letters_of_all_scripts_are_fine():
    check_prefix("/home/日本/my programs (2)")
