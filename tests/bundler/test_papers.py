import re
import shutil
import subprocess

import pytest

from sealift_bundler.paper import install_scripts, readme_text, verify_text
from sealift_schemas.lock import Lock
from workshop import Workshop

STEPS = 5
needs_tools = pytest.mark.skipif(
    shutil.which("openssl") is None or shutil.which("sha256sum") is None,
    reason="openssl or sha256sum is not installed",
)


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    workshop = Workshop(tmp_path_factory.mktemp("papers")).found()
    workshop.add_tool()
    return workshop, workshop.build()


@pytest.fixture
def bundle(sealed, tmp_path):
    workshop, bundle = sealed
    copy = tmp_path / "copy of a stick"
    shutil.copytree(bundle, copy)
    shutil.copy(workshop.site / "keys" / "release.pub.pem", tmp_path / "NAME.pub.pem")
    return copy


def steps(bundle):
    """Return the commands of VERIFY.txt by step, as a person would type them."""
    text = (bundle / "VERIFY.txt").read_text("ascii")
    parts = re.split(r"(?m)^(?:[1-9]|[A-Z])\. ", text)[1:][:STEPS]
    commands = [re.findall(r"(?m)^ {4}(\S.*)$", part) for part in parts]
    assert len(commands) == STEPS
    assert all(commands)
    assert commands[0][0] == "KEY=../NAME.pub.pem"
    return ["\n".join(lines) for lines in commands]


def check(bundle, step):
    """Run the steps before `step` quietly and then it; return what it printed and its status."""
    commands = steps(bundle)
    # Steps that hold are needed for their variables alone.
    script = "\n".join(
        [*(f"{{ {one}\n}} >/dev/null 2>&1" for one in commands[:step]), commands[step]]
    )
    done = subprocess.run(
        ["sh", "-c", script], cwd=bundle, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


@needs_tools
def test_the_commands_accept_a_good_bundle(bundle):
    (signature,) = bundle.glob("SHA256SUMS.*.sig")
    status, fingerprint = check(bundle, 0)
    assert (status, len(fingerprint)) == (0, 65)
    assert fingerprint[:16] == signature.name.split(".")[1]
    assert check(bundle, 1) == (0, "Verified OK\n")
    assert check(bundle, 2) == (0, "")
    assert check(bundle, 3) == (0, "")
    assert check(bundle, 4) == (0, "")


@needs_tools
def test_the_commands_find_a_changed_list(bundle):
    sums = bundle / "SHA256SUMS"
    sums.write_bytes(sums.read_bytes().replace(b"README", b"REAMDE"))
    status, shown = check(bundle, 1)
    assert status != 0
    assert "Verification failure" in shown


@needs_tools
def test_the_commands_find_a_changed_signature(bundle):
    (signature,) = bundle.glob("SHA256SUMS.*.sig")
    data = signature.read_bytes()
    signature.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert check(bundle, 1)[0] != 0


@needs_tools
@pytest.mark.parametrize("pattern", ["archives/*", "index/*", "templates/*", "manifest.json"])
def test_the_commands_find_a_flipped_bit(bundle, pattern):
    path = min(bundle.glob(pattern))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    status, shown = check(bundle, 2)
    assert status != 0
    assert f"{path.relative_to(bundle)}: FAILED" in shown


@needs_tools
def test_the_commands_find_a_missing_file(bundle):
    (bundle / "README.txt").unlink()
    status, shown = check(bundle, 2)
    assert status != 0
    assert "README.txt" in shown


@needs_tools
@pytest.mark.parametrize(
    "name",
    [
        "added",
        "archives/added",
        "SHA256SUMS.0.sig",
        "trust/root/x.root.dsse.json",
        ".hidden",
        "a b",
    ],
)
def test_the_commands_find_an_added_file(bundle, name):
    (bundle / name).write_text("added")
    assert check(bundle, 2) == (0, "")  # sha256sum does not notice
    assert check(bundle, 3)[1] == f"{name}\n"


@needs_tools
def test_the_commands_find_an_added_link(bundle):
    (bundle / "archives" / "link").symlink_to("/etc/passwd")
    assert check(bundle, 3)[1] == "archives/link\n"


@needs_tools
def test_the_commands_find_another_signed_manifest(bundle):
    envelope = bundle / "manifest.dsse.json"
    data = envelope.read_bytes()
    at = data.index(b'"payload":"') + 200
    envelope.write_bytes(data[:at] + (b"A" if data[at : at + 1] != b"A" else b"B") + data[at + 1 :])
    assert check(bundle, 4)[0] != 0


def test_papers_are_ascii_with_plain_line_ends():
    papers = [verify_text(), *install_scripts().values()]
    for text in papers:
        assert text.isascii()
        assert b"\r" not in text
        assert text.endswith(b"\n")


def test_the_readme_has_no_placeholder_left():
    lock = Lock("line", 7, "2026-01-31T09:00:00Z", "0" * 64, ())
    for with_installer in (True, False):
        text = readme_text(lock, with_installer=with_installer).decode("ascii")
        assert "@" not in text
        assert "sequence  7" in text
        assert ("sh install.sh" in text) == with_installer


def test_the_shell_script_is_no_nonsense(tmp_path):
    script = tmp_path / "install.sh"
    script.write_bytes(install_scripts()["install.sh"])
    assert subprocess.run(["sh", "-n", script], check=False).returncode == 0


def test_the_shell_script_refuses_an_old_python(tmp_path):
    script = tmp_path / "install.sh"
    script.write_bytes(install_scripts()["install.sh"])
    done = subprocess.run(
        ["sh", script, tmp_path / "place"],
        env={"PYTHON": "false", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 6
    assert "unseal needs Python 3.11 or newer" in done.stderr
    assert not (tmp_path / "place").exists()
