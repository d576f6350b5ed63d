"""The command `unseal` as it is typed: exit codes, what is printed where, how fast it starts."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sealift_installer import cli, verify
from simulator import NOW
from target import Target, content, python, tool

UNSEAL = [sys.executable, "-m", "sealift_installer"]
OTHER = "0" * 64


@pytest.fixture
def target(tmp_path):
    made = Target(tmp_path)
    made.carry(tool())
    made.trust()
    return made


@pytest.fixture
def unseal(target, capsys):
    """Return a function that runs a command and returns exit code, stdout and stderr."""

    def run(*words):
        try:
            code = cli.main([*map(str, words), "--prefix", str(target.prefix.path)])
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return run


def test_the_whole_way(tmp_path, capsys):
    target = Target(tmp_path)
    bundle = target.carry(tool(), python())
    prefix = ["--prefix", str(target.prefix.path)]
    root = str(bundle / "trust/root/1.root.dsse.json")
    spaced = " ".join(target.root_sha256[i : i + 8] for i in range(0, 64, 8)).upper()
    assert cli.main(["trust", "import", root, "--sha256", spaced, *prefix]) == 0
    assert cli.main(["verify", str(bundle), *prefix]) == 0
    assert cli.main(["inspect", str(bundle), *prefix]) == 0
    assert cli.main(["install", str(bundle), "--link", *prefix]) == 0
    assert cli.main(["list", *prefix]) == 0
    assert cli.main(["trust", "show", *prefix]) == 0
    shown, said = capsys.readouterr()
    assert f"root version 1 is trusted from now on: {target.root_sha256}" in shown
    assert "good: 7 files" in shown
    assert "relocated: 1 file, 1 place\n    lib/where" in shown
    assert f"tool-1.0: installed, {target.tree()}" in shown
    assert f"tool-1.0  {target.tree()}\n" in shown
    assert "stream site: epoch 1, sequence 1" in shown
    assert said == ""


@pytest.mark.parametrize("there", [True, False])
def test_links_that_a_shell_does_not_find_are_told(target, unseal, monkeypatch, there):
    folder = str(target.prefix.bin)
    usual = os.environ["PATH"]
    # However it is spelled.
    monkeypatch.setenv("PATH", f"{usual}{os.pathsep}{folder}/." if there else usual)
    assert f"not on your PATH: {folder}" not in unseal("install", target.site.path)[1]
    code, shown, _ = unseal("install", target.site.path, "--link")
    assert code == 0
    assert (f"not on your PATH: {folder}\n" in shown) is not there


def test_json_says_the_same(target, unseal):
    code, shown, _ = unseal("install", target.site.path, "--json")
    report = json.loads(shown)
    assert code == 0
    assert report["signers"] == [target.site.release_keys[0].keyid]
    (archive,) = report["archives"]
    assert (archive["name"], archive["status"], archive["relocated"]) == (
        "tool-1.0",
        "installed",
        1,
    )
    _, shown, _ = unseal("list", "--json")
    assert [(each["name"], each["there"]) for each in json.loads(shown)["installed"]] == [
        ("tool-1.0", True)
    ]
    _, shown, _ = unseal("inspect", target.site.path, "--json")
    assert json.loads(shown)["archives"][0]["relocated"] == {"lib/where": 1}
    _, shown, _ = unseal("verify", target.site.path, "--json")
    assert json.loads(shown)["manifest"] == target.record().manifest
    _, shown, _ = unseal("trust", "show", "--json")
    assert json.loads(shown)["sha256"] == target.root_sha256


def test_quiet_prints_nothing_that_is_no_error(target, unseal):
    assert unseal("install", target.site.path, "--quiet") == (0, "", "")
    assert unseal("verify", target.site.path, "--quiet") == (0, "", "")


def test_names_may_follow_options(target, unseal):
    target.carry(tool("a-1.0"), tool("b-1.0"))
    assert unseal("install", target.site.path, "--link", "a-1.0")[0] == 0
    assert not target.tree("b-1.0").exists()
    code, _, said = unseal("install", target.site.path, "--link", "a-1.0", "--nope")
    assert code == 2
    assert "unrecognized arguments" in said


def test_a_tree_that_is_gone_is_listed_so(target, unseal):
    unseal("install", target.site.path)
    shutil.rmtree(target.tree())
    assert "(its directory is gone)" in unseal("list")[1]


def test_an_empty_prefix_lists_nothing(target, unseal):
    assert unseal("list") == (0, "", "")


@pytest.mark.parametrize(
    "words",
    [(), ("fly",), ("install",), ("trust",), ("trust", "import", "x"), ("verify", "a", "b")],
)
def test_exit_2_for_a_command_line_that_makes_no_sense(words, unseal):
    assert unseal(*words)[0] == 2


def test_exit_2_for_a_name_that_is_not_carried(target, unseal):
    code, _, said = unseal("install", target.site.path, "nope")
    assert code == 2
    assert said == "unseal: not in the bundle: nope\nhint: it carries tool-1.0\n"


def test_exit_2_for_something_that_is_no_sha256(target, unseal):
    root = target.path / "1.root.dsse.json"
    assert unseal("trust", "import", root, "--sha256", "abc")[0] == 2


def test_exit_3_without_a_root(tmp_path, target, capsys):
    code = cli.main(["install", str(target.site.path), "--prefix", str(tmp_path / "new")])
    assert code == 3
    said = capsys.readouterr().err
    assert "hint: get the first root" in said
    assert "unseal trust import FILE --sha256 HEX" in said


def test_exit_3_for_a_stranger(target, unseal):
    stranger = Target(target.path / "stranger")
    for command in ("verify", "inspect", "install"):
        assert unseal(command, stranger.carry(tool()))[0] == 3
    assert not target.tree().exists()


def test_exit_3_for_a_root_that_is_not_the_one_on_paper(target, unseal):
    root = target.path / "1.root.dsse.json"
    code, _, said = unseal("trust", "import", root, "--sha256", OTHER)
    assert code == 3
    assert f"Expected: {OTHER}\n  Computed: {target.root_sha256}" in said


def test_exit_3_for_a_second_first_root(target, unseal):
    other = Target(target.path / "other")
    other.trust()
    root = other.path / "1.root.dsse.json"
    code, _, said = unseal("trust", "import", root, "--sha256", other.root_sha256)
    assert code == 3
    assert "trusts another root already" in said
    assert target.store.load().root.sha256 == target.root_sha256


def test_the_same_root_is_trusted_once(target, unseal):
    root = target.path / "1.root.dsse.json"
    code, shown, _ = unseal("trust", "import", root, "--sha256", target.root_sha256)
    assert (code, "is trusted already" in shown) == (0, True)
    assert len(target.receipts("trust")) == 1


def test_the_next_root_may_come_by_hand(target, unseal):
    target.site.add_root(target.site.next_root(), target.site.root_keys)
    file = target.path / "2.root.dsse.json"
    file.write_bytes(target.site.roots[2])
    digest = subprocess.run(
        [sys.executable, "-c", "import hashlib,sys;print(hashlib.sha256(open(sys.argv[1],'rb').read()).hexdigest())", file],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    assert unseal("trust", "import", file, "--sha256", digest)[0] == 0
    assert target.store.load().root.root.version == 2


@pytest.mark.parametrize("name", ["README.txt", "archives/*", "index/*", "templates/*"])
def test_exit_4_for_one_flipped_bit(target, unseal, name):
    file = next(path for path in target.site.path.glob(name) if path.is_file())
    target.site.flip_bit(file.relative_to(target.site.path).as_posix(), 5)
    code, _, said = unseal("verify", target.site.path)
    assert code == 4
    assert "Expected: " in said
    assert "Computed: " in said
    if name != "README.txt":
        assert unseal("install", target.site.path)[0] == 4
        assert not target.tree().exists()
        assert target.leftovers() == []


def test_exit_4_for_added_and_missing_files(target, unseal):
    extra = target.site.write_file("extra.txt", b"")
    assert unseal("install", target.site.path)[0] == 4
    extra.unlink()
    (target.site.path / "README.txt").unlink()
    assert unseal("install", target.site.path)[0] == 4


def test_exit_5_for_an_older_and_for_an_expired_bundle(target, unseal):
    unseal("install", target.site.path)
    unseal("install", target.carry(tool(content=b"two\n")))
    code, _, said = unseal("install", target.path / "bundle-1")
    assert code == 5
    assert "--allow-downgrade REASON" in said
    target.site.expires = NOW
    code, _, said = unseal("install", target.carry(tool()))
    assert code == 5
    assert unseal("install", target.site.path, "--accept-expired", "a test")[0] == 0
    assert target.receipts()[-1].overrides == {"accept_expired": "a test"}
    assert unseal("install", target.site.path, "--accept-expired", " ")[0] == 2


def test_exit_6_for_a_host_that_cannot(target, unseal):
    target.tree().mkdir(parents=True)
    assert unseal("install", target.site.path)[0] == 6
    code, _, said = unseal("verify", target.path / "no-such-bundle")
    assert code == 6
    assert "no-such-bundle" in said
    missing = target.path / "no-such-root"
    assert unseal("trust", "import", missing, "--sha256", OTHER)[0] == 6


def test_exit_6_for_a_prefix_that_cannot_be_made(target, capsys):
    (target.path / "file").write_text("")
    root = str(target.path / "1.root.dsse.json")
    words = ["trust", "import", root, "--sha256", target.root_sha256]
    assert cli.main([*words, "--prefix", str(target.path / "file" / "prefix")]) == 6
    assert "cannot lock the prefix: Not a directory" in capsys.readouterr().err


def test_exit_1_for_a_defect_without_a_traceback(target, unseal, monkeypatch):
    def defect(*_, **__):
        raise RuntimeError("\x1b[31m boo")

    monkeypatch.setattr(verify, "verify_files", defect)
    code, _, said = unseal("verify", target.site.path)
    assert code == 1
    assert "a defect of unseal, please report it: RuntimeError" in said
    assert "\x1b" not in said
    assert "Traceback" not in said
    with pytest.raises(RuntimeError, match="boo"):
        unseal("verify", target.site.path, "--debug")


def test_exit_130_for_an_interrupt(target, unseal, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(verify, "verify_files", interrupt)
    code, _, said = unseal("verify", target.site.path)
    assert (code, said) == (130, "unseal: interrupted; the next run cleans up\n")


def test_a_reader_that_goes_away_is_no_defect(target):
    reading, writing = os.pipe()
    os.close(reading)
    command = [*UNSEAL, "inspect", target.site.path, "--prefix", target.prefix.path]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_untrusted_text_is_shown_and_not_obeyed(target, unseal):
    target.site.write_file("\x1b[2Jclear", b"")
    code, _, said = unseal("verify", target.site.path)
    assert code == 4
    assert r"\x1b[2Jclear" in said
    assert "\x1b" not in said


def test_an_ascii_terminal_gets_escapes(target):
    prefix = target.path / "préfixe"
    root = target.path / "1.root.dsse.json"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    words = ["trust", "import", root, "--sha256", target.root_sha256, "--prefix", prefix]
    subprocess.run([*UNSEAL, *words], env=environment, check=True, capture_output=True)
    done = subprocess.run(
        [*UNSEAL, "install", target.site.path, "--prefix", prefix],
        env=environment,
        check=False,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert rb"pr\xe9fixe/tools/tool-1.0" in done.stdout


@pytest.mark.parametrize("words", [["--help"], ["install", "--help"], ["list"], ["--version"]])
def test_help_and_list_start_without_anything_heavy(words, tmp_path):
    script = (
        "import sys\n"
        "from sealift_installer.cli import main\n"
        "try: code = main(sys.argv[1:])\n"
        "except SystemExit as stop: code = stop.code or 0\n"
        "print(sorted(sys.modules), file=sys.stderr)\n"
        "sys.exit(code)\n"
    )
    extra = ["--prefix", str(tmp_path)] if words == ["list"] else []
    done = subprocess.run(
        [sys.executable, "-c", script, *words, *extra], capture_output=True, text=True, check=True
    )
    loaded = {name.split(".")[0] for name in done.stderr.strip("[]\n").replace("'", "").split(", ")}
    assert "sealift_installer" in loaded
    heavy = {"cryptography", "isal", "backports", "py7zr", "ctypes", "ssl", "socket"}
    assert loaded & heavy == set()


def test_help_names_every_exit_code():
    done = subprocess.run([*UNSEAL, "--help"], capture_output=True, text=True, check=True)
    for code in range(8):
        assert f"  {code} " in done.stdout


# Runs `unseal install` on a tmpfs of its own, in a user namespace: a disk that is really full.
ON_SMALL_DISK = """
set -e
mount -t tmpfs -o "$1" none "$2"
cp -a "$3/." "$2/prefix"
$5
shift 5
exec "$@"
"""
WITHOUT_PREFLIGHT = """
import sys
from sealift_installer import cli, preflight
preflight.room = lambda directory: (2**60, None)
sys.exit(cli.main(sys.argv[1:]))
"""


def on_small_disk(target, options, *program, then=":"):
    """Install on a tmpfs with these mount options; return what came of it."""
    mount = target.path / "disk"
    mount.mkdir(exist_ok=True)
    script = ON_SMALL_DISK.replace("$5", then)
    words = ["install", target.site.path, "--prefix", mount / "prefix"]
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, "sh", options, mount, target.prefix.path, "", "",
         *program, *words],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "unshare:" in done.stderr or "mount:" in done.stderr:
        pytest.skip("user namespaces are closed here")
    return done


unshare = pytest.mark.skipif(shutil.which("unshare") is None, reason="there is no unshare")


@unshare
def test_a_disk_that_is_too_small_is_said_before_anything_is_written(target):
    target.carry(tool(content=os.urandom(2_000_000)))
    done = on_small_disk(target, "size=1m", *UNSEAL)
    assert done.returncode == 6
    assert "bytes free" in done.stderr
    assert "are needed" in done.stderr


@unshare
@pytest.mark.parametrize("options", ["size=1m", "size=50m,nr_inodes=13"])
def test_a_disk_that_fills_up_is_said_and_nothing_is_left(target, options):
    target.carry(tool(content=os.urandom(2_000_000)))
    program = ["sh", "-c", '"$@"; code=$?; find "$0" >&2; exit $code', target.path / "disk/prefix"]
    done = on_small_disk(target, options, *program, sys.executable, "-c", WITHOUT_PREFLIGHT)
    assert done.returncode == 6, done.stderr
    assert "No space left" in done.stderr or "full" in done.stderr
    assert "prefix/state/trust.json" in done.stderr
    assert "tool-1.0" not in done.stderr.partition("/prefix\n")[2]


@unshare
def test_a_read_only_prefix_is_said(target):
    done = on_small_disk(target, "size=5m", *UNSEAL, then='mount -o remount,bind,ro "$2"')
    assert done.returncode == 6
    assert "Read-only file system" in done.stderr


def test_a_limit_on_file_sizes_is_no_defect(target):
    target.carry(tool(content=os.urandom(2_000_000)))
    script = 'ulimit -f 1000; exec "$@"'
    words = [*UNSEAL, "install", target.site.path, "--prefix", target.prefix.path]
    done = subprocess.run(
        ["sh", "-c", script, "sh", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 6, done.stderr
    assert "File too large" in done.stderr
    assert not target.tree().exists()
    assert target.leftovers() == []


def test_the_bundle_is_only_read(target, unseal):
    before = content(target.site.path)
    for path in sorted(target.site.path.rglob("*"), reverse=True):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert unseal("install", target.site.path)[0] == 0
    finally:
        for path in target.site.path.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
    assert content(target.site.path).keys() == before.keys()
    assert Path(target.tree() / "bin/tool").exists()
