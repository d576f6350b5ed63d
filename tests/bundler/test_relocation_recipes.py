import ast
import json
import re
import shlex
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealift_bundler.relocation import Kept, Rewrite, always_rewritten, binary_reason, relocate
from sealift_bundler.relocation.pieces import rewrite
from sealift_bundler.relocation.words import cut_command, names_path
from sealift_installer.relocation import render

LIB = "lib/python3.13"
MAKEFILE = f"{LIB}/config-3.13-x86_64-linux-gnu/Makefile"
AWKWARD = "a b'c\"d$HOME#e`f"

CONFIG = r"""#!/bin/sh
exit_with_usage ()
{
    echo "Usage: $0 --prefix|--includes"
    exit $1
}
# Returns the actual prefix where this script's file was installed to.
installed_prefix ()
{
    RESULT=$(dirname $(cd $(dirname "$1") && pwd -P))
    if which readlink >/dev/null 2>&1 ; then
        if readlink -f "$RESULT" >/dev/null 2>&1; then
          RESULT=$(readlink -f "$RESULT")
        fi
    fi
    echo $RESULT
}
prefix_real=$(installed_prefix "$0")
prefix="/install"
exec_prefix="${prefix}"
exec_prefix_real=${prefix_real}
includedir=$(echo "${prefix}/include" | sed "s#$prefix#$prefix_real#")
libdir=$(echo "${exec_prefix}/lib" | sed "s#$prefix#$prefix_real#")
CFLAGS=$(echo "-I/install/include -O2" | sed "s#$prefix#$prefix_real#")
VERSION="3.13"
LIBDEST=${prefix_real}/lib/python${VERSION}
LIBPL=$(echo "${prefix}/lib/python3.13/config" | sed "s#$prefix#$prefix_real#")
for ARG in "$@"
do
    case "$ARG" in
        --prefix) echo "$prefix_real" ;;
        --built) echo "$prefix" ;;
        --exec-prefix) echo "$exec_prefix_real" ;;
        --includes) echo "-I$includedir" ;;
        --libdir) echo "$libdir" ;;
        --cflags) echo "$CFLAGS" ;;
        --libdest) echo "$LIBDEST" ;;
        --configdir) echo "$LIBPL" ;;
    esac
done
"""


def installed(path, text, prefix, *, recipe="cpython", old="/install"):
    result = relocate(recipe, path, text.encode(), old)
    assert isinstance(result, Rewrite), result
    return render(result.template, result.places, str(prefix)).decode()


def make(makefile, folder, *goals):
    program = shutil.which("make")
    if program is None:
        pytest.skip("needs make")
    (folder / "Makefile").write_text(makefile)
    command = [program, "--silent", "-C", str(folder), *goals]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_make_reads_the_prefix_as_it_is(tmp_path):
    text = (
        "prefix=\t\t/install\nLIBDIR= $(prefix)/lib\n"
        "CONFIG_ARGS=\t '--prefix=/install' '--with-x' 'CPPFLAGS=-I/install/include'\n"
        "INCLUDES= -I/install/include \\\n\t-I/install/more\n"
        "INSTALL=\t/usr/bin/install -c\n"
        "all:\n"
        "\t$(info $(prefix))\n\t$(info $(LIBDIR))\n\t$(info $(INSTALL))\n"
        "\t@printf '%s\\n' $(CONFIG_ARGS) $(INCLUDES)\n"
    )
    prefix = f"/opt/{AWKWARD}/key"
    assert make(installed(MAKEFILE, text, prefix), tmp_path, "all") == [
        prefix,
        f"{prefix}/lib",
        "/usr/bin/install -c",
        f"--prefix={prefix}",
        "--with-x",
        f"CPPFLAGS=-I{escaped(prefix)}/include",
        f"-I{prefix}/include",
        f"-I{prefix}/more",
    ]


def escaped(prefix):
    return "".join(f"\\{mark}" if mark in " '\"$#`" else mark for mark in prefix)


@pytest.mark.parametrize("name", ["plain", AWKWARD])
def test_the_config_script_names_its_own_place(tmp_path, name):
    prefix = tmp_path / name / "key"
    script = prefix / "bin/python3.13-config"
    script.parent.mkdir(parents=True)
    script.write_text(installed("bin/python3.13-config", CONFIG, prefix))
    script.chmod(0o755)
    expected = {
        "--prefix": f"{prefix}",
        "--built": f"{prefix}",
        "--exec-prefix": f"{prefix}",
        "--includes": f"-I{prefix}/include",
        "--libdir": f"{prefix}/lib",
        "--cflags": f"-I{prefix}/include -O2",
        "--libdest": f"{prefix}/lib/python3.13",
        "--configdir": f"{prefix}/lib/python3.13/config",
    }
    run = subprocess.run([script, *expected], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == list(expected.values())


@pytest.mark.parametrize("name", ["plain", "a b"])
def test_pkg_config_finds_the_files_where_they_stand(tmp_path, name):
    program = shutil.which("pkg-config")
    if program is None:
        pytest.skip("needs pkg-config")
    text = (
        "prefix=/install\nexec_prefix=${prefix}\nlibdir=/install/lib\nincludedir=${prefix}/include\n"
        "\nName: x\nDescription: x\nVersion: 1\n"
        "Libs: -L${libdir} -L/install/more -lx\nCflags: -I${includedir}/x\n"
    )
    result = relocate("cpython", "lib/pkgconfig/sample.pc", text.encode(), "/install")
    assert isinstance(result, Rewrite)
    assert result.places == ()
    folder = tmp_path / name / "lib/pkgconfig"
    folder.mkdir(parents=True)
    (folder / "sample.pc").write_bytes(result.template)
    run = subprocess.run(
        [program, "--cflags", "--libs", "sample"],  # pkgconf 2.5 finds no name of one letter
        env={"PKG_CONFIG_PATH": str(folder), "PKG_CONFIG_ALLOW_SYSTEM_CFLAGS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    base = f"{folder}/../.."
    assert shlex.split(run.stdout) == [
        f"-I{base}/include/x",
        f"-L{base}/lib",
        f"-L{base}/more",
        "-lx",
    ]


def test_a_pkg_config_line_is_what_uv_writes():
    assert installed("lib/pkgconfig/x.pc", "a=1\nprefix=/install\n", "/real") == (
        "a=1\nprefix=${pcfiledir}/../..\n"
    )


def test_json_variables_follow_the_rules_of_sysconfig():
    path = f"{LIB}/_sysconfig_vars__linux_x86_64-linux-gnu.json"
    assert always_rewritten("cpython", path)
    text = (
        '{\n  "CC": "clang -pthread",\n  "AR": "llvm-ar",\n  "LIBDIR": "/install/lib",\n'
        '  "n": 1,\n  "CFLAGS": "-I/install/include",  "u": "\\u00fc"\n}'
    )
    result = installed(path, text, f"/opt/{AWKWARD}/ü")
    assert json.loads(result) == {
        "CC": "cc -pthread",
        "AR": "ar",
        "LIBDIR": f"/opt/{AWKWARD}/ü/lib",
        "n": 1,
        "CFLAGS": f"-I/opt/{escaped(AWKWARD)}/ü/include",
        "u": "ü",
    }
    assert result.endswith(',  "u": "\\u00fc"\n}')


def test_build_details_name_the_prefix():
    path = f"{LIB}/build-details.json"
    text = json.dumps(
        {"base_prefix": "/install", "c_api": {"headers": "/install/include"}, "a": []}
    )
    prefix = f"/opt/{AWKWARD}"
    assert json.loads(installed(path, text, prefix)) == {
        "base_prefix": prefix,
        "c_api": {"headers": f"{prefix}/include"},
        "a": [],
    }


@pytest.mark.parametrize("text", ['{"a": "/install"', '["/install"] x', "[" * 100_000])
def test_what_is_no_json_is_kept(text):
    assert relocate(
        "cpython", f"{LIB}/build-details.json", (text + "/install").encode(), "/install"
    )


@pytest.mark.parametrize("name", ["plain", "a b'c$d#e"])
@pytest.mark.parametrize("path", ["bin/tool", "lib/tools/bin/tool.py"])
def test_a_python_script_starts_the_interpreter_beside_it(tmp_path, name, path):
    prefix = tmp_path / name
    script = prefix / path
    script.parent.mkdir(parents=True)
    python = prefix / "bin/python3.13"
    python.parent.mkdir(exist_ok=True)
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    python.chmod(0o755)
    script.write_text(installed(path, "#!/install/bin/python3.13 -E\nimport sys\n", prefix))
    script.chmod(0o755)
    compile(script.read_text(), "tool", "exec")
    run = subprocess.run([script, "one", "a b"], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == ["-E", str(script), "one", "a b"]


def test_a_module_keeps_its_documentation():
    text = '#! /install/bin/python3.13\n"""About."""\n'
    result = installed(f"{LIB}/base64.py", text, "/real")
    assert result == '#!/real/bin/python3.13\n"""About."""\n'


def test_the_rest_of_a_script_is_text_of_python():
    text = installed("bin/x", "#!/install/bin/python3\nx = '/install/a'\n", "/it's")
    assert text.endswith("x = '/it\\'s/a'\n")
    other = installed("bin/x", "#!/install/bin/perl -w\nprint 1;\n", "/real")
    assert other == "#!/real/bin/perl -w\nprint 1;\n"


@pytest.mark.parametrize(
    ("path", "text", "reason"),
    [
        (f"{LIB}/distutils/dist.py", "built/installed/distributed", "no path"),
        (f"{LIB}/site-packages/a.dist-info/RECORD", "a/install.py,sha256=x", "no path"),
        (f"{LIB}/site-packages/a.py", "see '/install' for more", "text of an installed package"),
        (f"{LIB}/ensurepip/x.py", "see '/install' for more", "text of an installed package"),
        (f"{LIB}/other.py", "see '/install' for more", "unknown: text"),
        ("bin/python3.13-config", "#!/usr/bin/env python\n'/install'", "unknown: text"),
    ],
)
def test_text_that_no_rule_covers_is_kept_with_its_reason(path, text, reason):
    result = relocate("cpython", path, text.encode(), "/install")
    assert isinstance(result, Kept)
    assert result.reason.startswith(reason)


@pytest.mark.parametrize(
    ("recipe", "path", "reason"),
    [
        ("cpython", "lib/libpython3.13.so.1.0", "built in, and computed anew"),
        ("cpython", "bin/python3.13t", "built in, and computed anew"),
        ("generic", "bin/python3.13", "unknown: a binary"),
        ("cpython", f"{LIB}/ensurepip/_bundled/pip-1-py3-none-any.whl", "a packed archive"),
        ("cpython", f"{LIB}/__pycache__/x.cpython-313.pyc", "compiled from a source"),
        ("cpython", "lib/libtcl8.6.so", "unknown: a binary"),
    ],
)
def test_binaries_are_kept_with_their_reason(recipe, path, reason):
    assert binary_reason(recipe, path).startswith(reason)


def test_another_archive_is_rewritten_wherever_it_names_its_prefix(tmp_path):
    old = "/opt/tool-1.2"
    prefix = tmp_path / AWKWARD

    def placed(path, text):
        return installed(path, text, prefix, recipe="generic", old=old)

    assert placed("etc/conf", f"home = {old}/x\n# {old}.bak\n") == (
        f"home = {prefix}/x\n# {old}.bak\n"
    )
    assert json.loads(placed("a.json", f'{{"{old}": 1, "b": "{old}/x"}}')) == {
        str(prefix): 1,
        "b": f"{prefix}/x",
    }
    tree = ast.parse(placed("a.py", f"a = '{old}/x'; b = \"{old}\"; c = '''{old}'''  # {old}\n"))
    found = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    assert found == [f"{prefix}/x", str(prefix), str(prefix)]
    script = tmp_path / "script"
    script.write_text(
        placed("bin/x", f"#!/bin/sh\n# it's\nA={old}/x B='{old}'\necho $A \"{old}\" $B\n")
    )
    run = subprocess.run(["/bin/sh", script], capture_output=True, text=True, check=True)
    assert run.stdout.split() == f"{prefix}/x {prefix} {prefix}".split()
    assert "raw" in str(relocate("generic", "a.py", f"r'{old}' (".encode(), old))


def test_files_of_other_implementations_are_left_alone_unless_they_name_the_prefix():
    assert not always_rewritten("pypy", f"{LIB}/_sysconfigdata_x.py")
    assert isinstance(relocate("generic", "x", b"/opt/tool-1.20", "/opt/tool-1.2"), Kept)


@given(st.text(alphabet="/pq -IL'\"=:.\\"))
def test_what_is_found_is_a_path(text):
    if names_path(text, "/p"):
        assert any(
            word == "/p" or word.startswith("/p/")
            for part in re.split(r"[\s'\"=:\\]+", text)
            for word in (part, part[2:] if part[:2] in ("-I", "-L") else "")
        )


@given(
    st.lists(st.sampled_from(["'", '"', " ", "/p", "x", "=", "-I/p", "\\'", "/p/q"])),
    st.text(alphabet=" '\"$#`\\a;*&é", min_size=1),
)
def test_a_command_line_splits_into_the_same_words(parts, name):
    text = "".join(parts)
    try:
        words = shlex.split(text)
    except ValueError:
        return
    pieces = cut_command(text, "/p", None)
    if len(pieces) == 1:
        return
    result = rewrite(pieces)
    prefix = f"/{name}/k"
    line = render(result.template, result.places, prefix).decode()
    assert len(shlex.split(line)) == len(words)
    assert render(result.template, result.places, "/p").decode() == text
    if not set(name) & set("$`"):
        assert any(prefix in word for word in shlex.split(line))
