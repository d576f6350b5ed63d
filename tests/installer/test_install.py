"""From a sealed bundle to installed trees: what stands afterwards, and what is said."""

import errno
import fcntl
import os
import subprocess
import sys
import sysconfig
import threading
import time
from pathlib import Path

import pytest

from sealift_installer import install as verb
from sealift_installer import publish, smoke
from sealift_installer.archives import ahead
from sealift_installer.errors import Damaged, HostError, RefusedByPolicy, Untrusted, UsageError
from sealift_installer.host import current_platform
from sealift_installer.install import InstallOptions
from sealift_installer.prefix import Prefix, default_prefix
from sealift_installer.report import Silence
from sealift_installer.trust.state import StateStore
from sealift_schemas.index import Place, read_lines
from sealift_schemas.manifest import Requirements
from simulator import Member, SimArchive, pack
from target import Target, content, python, tool

KEY = python().name


class Notes(Silence):
    """Keeps the warnings."""

    def __init__(self):
        self.warnings = []

    def warn(self, text):
        self.warnings.append(text)


@pytest.fixture
def target(tmp_path):
    made = Target(tmp_path)
    made.carry(tool())
    made.trust()
    return made


def test_an_install_is_what_the_index_says(target):
    report = target.install()
    tree = target.tree()
    assert content(tree) == {
        "bin": 0o755,
        "bin/tool": (b"#!/bin/sh\necho one\n", 0o755),
        "bin/again": "tool",
        "lib": 0o755,
        "lib/twin": (b"#!/bin/sh\necho one\n", 0o755),
        "lib/where": (b"prefix=" + os.fsencode(tree) + b"\n", 0o644),
    }
    assert (tree / "lib/twin").samefile(tree / "bin/tool")
    (outcome,) = report.outcomes
    assert (outcome.status, outcome.path, outcome.relocated) == ("installed", str(tree), 1)
    assert report.exit_code == 0
    assert target.leftovers() == []
    assert not (target.prefix.path / "bin").exists()


def test_an_install_is_recorded(target):
    target.install()
    record = target.record()
    archive = target.site.archives[0]
    (receipt,) = target.receipts()
    assert receipt.archive is not None
    assert receipt.bundle is not None
    assert (receipt.archive.name, receipt.archive.sha256) == (archive.name, archive.sha256)
    assert receipt.archive.path == str(target.tree()) == record.path
    assert receipt.bundle.manifest == record.manifest
    assert target.store.load().streams["site"].sequence == 1
    kept = target.records.index_path(record.index).read_bytes()
    assert tuple(read_lines(kept, what="kept", limit=10**6)) == target.site.entries["tool-1.0"]


def test_a_second_install_does_nothing(target):
    target.install()
    before = {path: path.lstat().st_mtime_ns for path in target.prefix.path.rglob("*")}
    report = target.install()
    after = {path: path.lstat().st_mtime_ns for path in target.prefix.path.rglob("*")}
    lock = target.prefix.state / "lock"
    assert [outcome.status for outcome in report.outcomes] == ["present"]
    assert {**before, lock: 0} == {**after, lock: 0}


def test_another_build_is_exchanged_and_the_old_one_kept(target):
    target.install()
    old = content(target.tree())
    target.carry(tool(content=b"two\n"))
    report = target.install()
    assert [outcome.status for outcome in report.outcomes] == ["replaced"]
    assert (target.tree() / "bin/tool").read_bytes() == b"#!/bin/sh\necho two\n"
    assert content(target.prefix.previous("tool", "tool-1.0")) == old
    assert target.receipts()[1].detail.startswith("replaced archive ")
    assert target.leftovers() == []


def test_only_the_last_tree_is_kept(target):
    for number in (b"one\n", b"two\n", b"three\n"):
        target.carry(tool(content=number))
        target.install()
    kept = target.prefix.previous("tool", "tool-1.0")
    assert (kept / "bin/tool").read_bytes() == b"#!/bin/sh\necho two\n"
    assert [path.name for path in kept.parent.iterdir()] == ["tool-1.0"]


def test_without_an_exchange_two_renames_do(target, monkeypatch):
    monkeypatch.setattr(publish, "exchange", lambda first, second: False)
    target.install()
    old = content(target.tree())
    target.carry(tool(content=b"two\n"))
    assert target.install().exit_code == 0
    assert (target.tree() / "bin/tool").read_bytes() == b"#!/bin/sh\necho two\n"
    assert content(target.prefix.previous("tool", "tool-1.0")) == old
    assert target.leftovers() == []


def test_a_failing_second_rename_restores_the_tree(target, monkeypatch):
    target.install()
    old = content(target.tree())
    target.carry(tool(content=b"two\n"))
    monkeypatch.setattr(publish, "exchange", lambda first, second: False)
    real = Path.rename

    def rename(self, to):
        if to == target.tree() and not self.name.endswith(".old"):
            raise PermissionError(1, "no", str(to))
        return real(self, to)

    monkeypatch.setattr(Path, "rename", rename)
    report = target.install()
    assert report.exit_code == 6
    assert content(target.tree()) == old
    assert target.leftovers() == []


@pytest.mark.parametrize("foreign", ["directory", "file", "link"])
def test_what_is_not_ours_is_left_alone(target, foreign):
    place = target.tree()
    place.parent.mkdir()
    if foreign == "directory":
        (place / "mine").mkdir(parents=True)
    elif foreign == "file":
        place.write_text("mine")
    else:
        place.symlink_to("/nowhere")
    with pytest.raises(HostError, match=r"tool-1\.0 is there already, and it was not installed"):
        target.install()
    assert os.path.lexists(place)
    assert target.receipts() == []
    assert not (target.prefix.path / "tools" / ".staging").exists()


def test_a_tree_that_somebody_removed_is_installed_again(target):
    target.install()
    target.tree().rename(target.path / "elsewhere")
    assert [outcome.status for outcome in target.install().outcomes] == ["installed"]
    assert target.tree().is_dir()


def test_a_moved_prefix_is_installed_anew(target):
    target.install()
    moved = target.path / "moved"
    target.prefix.path.rename(moved)
    target.prefix = Prefix(moved)
    (outcome,) = target.install().outcomes
    assert outcome.status == "replaced"
    assert os.fsencode(moved) in (target.tree() / "lib/where").read_bytes()


def test_one_failing_archive_leaves_the_others_whole(target):
    bad = SimArchive("bad-1.0", (Member("x", b"x"),), data=b"<html>no archive</html>")
    target.carry(tool("a-1.0"), bad, tool("z-1.0"))
    report = target.install()
    assert [(each.name, each.status) for each in report.outcomes] == [
        ("a-1.0", "installed"),
        ("bad-1.0", "failed"),
        ("z-1.0", "installed"),
    ]
    assert report.exit_code == 4
    assert target.tree("z-1.0").is_dir()
    assert not target.tree("bad-1.0").exists()
    assert target.leftovers() == []


def test_archives_for_other_hosts_are_left_out_with_a_reason(target):
    target.carry(tool(), tool("other-1.0", platform="windows-aarch64-none"))
    report = target.install()
    assert [outcome.name for outcome in report.outcomes] == ["tool-1.0"]
    assert "it is for windows-aarch64-none" in report.skipped["other-1.0"]
    with pytest.raises(HostError, match=r"other-1\.0 is for windows-aarch64-none, this host"):
        target.install(None, "other-1.0")


def test_a_bundle_for_other_hosts_alone_is_refused(target):
    target.carry(tool("other-1.0", platform="windows-aarch64-none"))
    with pytest.raises(HostError, match="carries nothing for this host") as caught:
        target.install()
    assert caught.value.hint == "it is for windows-aarch64-none"


def test_names_choose_and_unknown_ones_are_refused(target):
    target.carry(tool("a-1.0"), tool("b-1.0"))
    with pytest.raises(UsageError, match=r"not in the bundle: c\\x1b") as caught:
        target.install(None, "a-1.0", "c\x1b")
    assert caught.value.hint == "it carries a-1.0, b-1.0"
    assert [outcome.name for outcome in target.install(None, "b-1.0").outcomes] == ["b-1.0"]
    assert not target.tree("a-1.0").exists()


def test_a_missing_library_is_said_before_anything_is_written(target):
    needs = Requirements(libraries=("libno-such-thing.so.9",))
    target.carry(tool("a-1.0"), tool("b-1.0", requires=needs))
    with pytest.raises(HostError, match=r"b-1\.0 needs libraries that are not here: libno-such"):
        target.install()
    assert not (target.prefix.path / "tools").exists()


def test_without_a_root_nothing_is_installed_or_made(tmp_path):
    stranger = Target(tmp_path)
    bundle = stranger.carry(tool())
    with pytest.raises(Untrusted, match="trusts no root yet"):
        stranger.install(bundle)
    assert not stranger.prefix.path.exists()


def test_a_refused_bundle_leaves_a_receipt(target):
    target.install()
    target.carry(tool(content=b"two\n"))
    target.install()
    with pytest.raises(RefusedByPolicy, match="older than the newest"):
        target.install(target.path / "bundle-1")
    (refusal,) = target.receipts("refuse")
    assert "RefusedByPolicy" in refusal.detail
    assert (target.tree() / "bin/tool").read_bytes().endswith(b"two\n")


def test_an_override_is_written_down(target):
    target.install()
    target.carry(tool(content=b"two\n"))
    target.install()
    report = target.install(target.path / "bundle-1", allow_downgrade="two is broken")
    assert report.overrides == {"allow_downgrade": "two is broken"}
    assert target.receipts()[-1].overrides == {"allow_downgrade": "two is broken"}
    assert target.store.load().streams["site"].sequence == 2
    target.install(target.path / "bundle-1", allow_downgrade="once more")
    assert target.receipts()[-1].detail == "everything was there already"
    assert target.receipts()[-1].overrides == {"allow_downgrade": "once more"}


def test_a_newer_bundle_of_the_same_archives_moves_the_counter(target):
    target.install()
    target.carry(tool())
    assert [outcome.status for outcome in target.install().outcomes] == ["present"]
    assert target.store.load().streams["site"].sequence == 2


def test_the_counter_stays_where_nothing_was_published(target):
    target.carry(SimArchive("bad-1.0", (Member("x", b"x"),), data=b"no archive"))
    assert target.install().exit_code == 4
    assert target.store.load().streams == {}


def test_a_new_root_is_trusted_from_then_on(target):
    target.site.add_root(target.site.next_root(), target.site.root_keys)
    target.carry(tool())
    assert target.install().root_version == 2
    assert target.store.load().root.root.version == 2
    assert [receipt.root_version for receipt in target.receipts("trust")] == [1, 2]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ((), "Computed: file top/x"),
        ((Member("y", b"x"),), "Expected: file top/y"),
        ((Member("x", b"other"),), "5 bytes"),
        ((Member("x", b"x"), Member("y", b"y")), "Expected: file top/y"),
        ((Member("x", type="link", target="z"),), "Expected: link top/x -> z"),
    ],
)
def test_an_archive_that_is_not_its_index_is_damaged(target, members, message):
    real = SimArchive("tool-1.0", (Member("x", b"x"),))

    target.carry(SimArchive("tool-1.0", members, data=pack(real)))
    (outcome,) = target.install().outcomes
    assert isinstance(outcome.error, Damaged)
    assert message in outcome.error.message
    assert not target.tree().exists()
    assert target.leftovers() == []


def test_what_is_written_is_the_archives_whatever_the_index_says_of_content(target):
    # Both are signed; which of them is wrong is for `check` to say.
    real = SimArchive("tool-1.0", (Member("x", b"x"),))
    target.carry(SimArchive("tool-1.0", (Member("x", b"y"),), data=pack(real)))
    assert target.install().exit_code == 0
    assert (target.tree() / "x").read_bytes() == b"x"


@pytest.mark.parametrize("kind", ["link", "hardlink"])
def test_a_link_that_leads_elsewhere_than_its_index_says_is_damaged(target, kind):
    files = (Member("x", b"x"), Member("y", b"y"))
    real = SimArchive("tool-1.0", (*files, Member("z", type=kind, target="x")))
    told = (*files, Member("z", type=kind, target="y"))
    target.carry(SimArchive("tool-1.0", told, data=pack(real)))
    (outcome,) = target.install().outcomes
    assert isinstance(outcome.error, Damaged)
    assert "is not the one that its index describes" in outcome.error.message
    assert f"Computed: {kind} top/z -> " in outcome.error.message
    assert not target.tree().exists()


def test_hostile_paths_are_refused_though_they_are_signed(target):
    target.carry(SimArchive("tool-1.0", (Member("x", b"x", path="../../escaped"),)))
    (outcome,) = target.install().outcomes
    assert isinstance(outcome.error, Damaged)
    assert not (target.prefix.path / "escaped").exists()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"links": {"x": "../../../../etc/passwd"}}, "it leaves the tree"),
        ({"kind": "interpreter"}, r"by no install key: tool-1\.0"),
        ({"name": KEY}, f"calls a tool by an install key: {KEY}"),
        (
            {"kind": "interpreter", "name": KEY},
            f"contradicts itself about the platform of {KEY}\n.*\n  Computed: any",
        ),
    ],
)
def test_a_manifest_that_offers_nonsense_is_damaged(target, fields, message):
    target.carry(SimArchive(**{**vars(tool()), **fields}))
    with pytest.raises(Damaged, match=message):
        target.install()
    assert not target.tree().exists()


@pytest.mark.parametrize(("version", "error"), [("9" * 5000, Damaged), ("9" * 9, HostError)])
def test_a_version_of_any_length_is_no_defect(target, version, error):
    def change(statement):
        statement["predicate"]["installer"] = f"{version}.0.0"

    target.site.write(change)
    with pytest.raises(error, match=r"manifest\.predicate\.installer|needs a newer unseal"):
        target.install()


def test_a_name_in_bin_that_several_want_is_said(target):
    target.carry(tool("a-1.0"), tool("b-1.0"), python("3.13.3"), python("3.13.10"))
    said = Notes()
    options = InstallOptions(target.prefix.path, link=True)
    assert verb.install(target.site.path, options, said).exit_code == 0
    assert said.warnings == ["tool in bin/ is offered by a-1.0, b-1.0: the last one has it"]
    assert (target.prefix.bin / "tool").readlink() == target.tree("b-1.0") / "bin/tool"


def test_a_prefix_inside_of_the_bundle_is_refused(target):
    inside = Prefix(target.site.path / "archives" / "prefix")
    store = StateStore(inside.state)
    other = target.path / "elsewhere"
    target.prefix.path.rename(other)
    inside.path.parent.mkdir(exist_ok=True)
    other.rename(inside.path)
    link = target.path / "by a link"
    link.symlink_to(inside.path)
    for path in (inside.path, link):
        with pytest.raises(UsageError, match="the prefix is inside of the bundle"):
            verb.install(target.site.path, InstallOptions(path))
    assert store.load().receipts == 1


def test_a_program_that_is_offered_and_missing_is_said(target):
    target.carry(SimArchive(**{**vars(tool()), "links": {"x": "bin/missing"}}))
    (outcome,) = target.install(link=True).outcomes
    assert outcome.error is not None
    assert "offers a program that tool-1.0 does not have: bin/missing" in outcome.error.message
    assert not os.path.lexists(target.prefix.bin / "x")


def test_links_in_bin_and_their_neighbours(target):
    target.carry(python("3.13.3"), python("3.13.10"), tool())
    report = target.install(link=True)
    installs = target.prefix.path / "installs"
    minor = installs / KEY.replace("3.13.3", "3.13")
    newest = python("3.13.10").name
    assert minor.readlink() == installs / newest
    assert (target.prefix.bin / "python3.13").readlink() == minor / "bin/python3.13"
    assert (target.prefix.bin / "tool").readlink() == target.tree() / "bin/tool"
    assert report.outcomes[0].links == (str(target.prefix.bin / "python3.13"),)
    (target.prefix.bin / "python3.13").unlink()
    minor.unlink()
    minor.symlink_to(installs / KEY)
    target.install(link=True)
    assert minor.readlink() == installs / newest
    assert (target.prefix.bin / "python3.13").is_symlink()


def test_a_release_is_newer_than_its_candidate(target):
    target.carry(python("3.14.0rc2"), python("3.14.0"))
    target.install()
    minor = target.prefix.path / "installs" / KEY.replace("3.13.3", "3.14")
    assert minor.readlink().name == python("3.14.0").name


@pytest.mark.parametrize("foreign", ["file", "link"])
def test_a_foreign_name_in_bin_is_refused_before_anything_is_written(target, foreign):
    name = target.prefix.bin / "tool"
    name.parent.mkdir()
    if foreign == "file":
        name.write_text("mine")
    else:
        name.symlink_to("/bin/sh")
    with pytest.raises(HostError, match="it is no link into this prefix"):
        target.install(link=True)
    assert not target.tree().exists()
    assert target.install().exit_code == 0


def test_an_interpreter_is_started_before_it_is_published(target):
    target.carry(python())
    report = target.install()
    assert report.exit_code == 0
    assert set(report.outcomes[0].seconds) == {"extract", "start", "publish"}


@pytest.mark.parametrize(
    ("fields", "code", "message"),
    [
        ({"script": "#!/bin/sh\necho lib missing >&2\nexit 127\n"}, 6, "lib missing"),
        ({"script": "#!/bin/sh\nkill -9 $$\n"}, 6, "killed by signal 9"),
        ({"script": "#!/no/such/shell\n"}, 6, "cannot be started: No such file"),
        ({"script": "#!/bin/sh\necho hello\n"}, 4, "no sensible answer"),
        ({"claims": "3.13.4"}, 4, "Expected: cpython 3.13.3\n  Computed: cpython 3.13.4"),
        ({"implementation": "pypy"}, 4, "Computed: pypy 3.13.3"),
    ],
)
def test_an_interpreter_that_fails_is_not_published(target, fields, code, message):
    target.carry(python(**fields))
    (outcome,) = target.install().outcomes
    assert outcome.error is not None
    assert message in outcome.error.message
    assert outcome.error.exit_code == code
    assert not target.tree(KEY, "interpreter").exists()
    assert target.leftovers() == []


def test_what_an_interpreter_says_is_cut_and_escaped(target):
    flood = "head -c 30000000 /dev/zero | tr '\\0' '\\033' >&2"
    target.carry(python(script=f"#!/bin/sh\n{flood}\nexit 3\n"))
    (outcome,) = target.install().outcomes
    assert outcome.error is not None
    assert outcome.error.message.endswith("x1b")
    assert len(outcome.error.message) < 20_000


@pytest.mark.parametrize("link", [False, True])
def test_an_interpreter_is_started_when_there_can_be_a_process(target, monkeypatch, link):
    """A thread, and a process that has ended, count among the processes that a user may have."""
    popen, refusals, threads = subprocess.Popen, [], []

    def start(*arguments, **options):
        threads.extend(set(threading.enumerate()) - before)
        if len(refusals) < 2:
            refusals.append(1)
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        refusals.clear()
        return popen(*arguments, **options)

    before = set(threading.enumerate())
    monkeypatch.setattr(ahead, "count_cores", lambda: 2)
    monkeypatch.setattr(subprocess, "Popen", start)
    target.carry(python())
    (outcome,) = target.install(link=link).outcomes
    assert (outcome.status, outcome.error) == ("installed", None)
    assert threads == []


def test_a_process_that_is_not_to_be_had_is_not_waited_for_without_end(target, monkeypatch):
    tries = []

    def refuse(*_, **__):
        tries.append(1)
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr(smoke, "_PAUSE_SECONDS", 0)
    target.carry(python())
    (outcome,) = target.install().outcomes
    assert "cannot be started: Resource temporarily unavailable" in outcome.error.message
    assert "ulimit -u" in outcome.error.hint
    assert len(tries) == smoke._TRIES


def test_an_interpreter_that_hangs_is_given_up(target, monkeypatch):
    monkeypatch.setattr(smoke, "_SECONDS", 0.2)
    target.carry(python(script="#!/bin/sh\nexec sleep 60\n"))
    (outcome,) = target.install().outcomes
    assert outcome.error is not None
    assert "did not answer within 0.2 seconds" in outcome.error.message


def test_an_interpreter_with_another_prefix_is_refused(target):
    archive = python()
    wrong = Member("lib/prefix", b"/install", template=(b"/elsewhere", (Place(0, "raw"),)))
    members = (*archive.members[:2], wrong)
    target.carry(SimArchive(**{**vars(archive), "members": members}))
    (outcome,) = target.install().outcomes
    assert outcome.error is not None
    assert "the prefix in its configuration" in outcome.error.message


def test_a_real_interpreter_answers():

    version = "{}.{}.{}".format(*sys.version_info[:3])
    if sys.version_info.releaselevel != "final" or sys.implementation.name != "cpython":
        pytest.skip("the tests run on another interpreter")
    name = f"cpython-{version}-{current_platform()}"
    program = Path(sys._base_executable)
    # From Python 3.14 on `prefix` itself is that of a virtual environment.
    configured = Path(sysconfig.get_config_var("installed_base"))
    smoke.smoke_test(program, Path(sys.base_prefix), name, configured)
    with pytest.raises(Damaged, match="the prefix it computes"):
        smoke.smoke_test(program, Path("/"), name, configured)


def test_a_prefix_with_spaces_and_quotes(tmp_path):
    target = Target(tmp_path, 'it\'s a "prefix" $HOME')
    target.carry(python(), tool())
    target.trust()
    report = target.install(link=True)
    assert report.exit_code == 0
    done = subprocess.run([target.prefix.bin / "tool"], capture_output=True, check=True)
    assert done.stdout == b"one\n"


def test_a_prefix_that_cannot_be_written_into_files_is_refused(target):
    target.prefix = Prefix(target.path / "a\nb")
    with pytest.raises(HostError, match="control character"):
        target.install()


def test_the_default_prefix(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_prefix() == Path("/opt/sealift")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_prefix() == tmp_path / "sealift"
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert default_prefix() == Path.home() / ".local/share/sealift"


def test_another_run_is_waited_for_only_so_long(target):
    with (target.prefix.state / "lock").open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        held.write("4711\n")
        held.flush()
        with pytest.raises(HostError, match=r"another unseal \(process 4711\) holds"):
            target.install(lock_seconds=0.1)
    assert target.install().exit_code == 0


def test_two_installs_at_once(target):
    command = [sys.executable, "-m", "sealift_installer", "install", target.site.path]
    command += ["--prefix", target.prefix.path, "--json"]
    with (target.prefix.state / "lock").open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        runs = [
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        for run in runs:
            assert run.stderr is not None
            assert "waiting for another unseal" in run.stderr.readline()
    outputs = [run.communicate(timeout=400) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outputs
    statuses = sorted("present" if '"present"' in out else "installed" for out, _ in outputs)
    assert statuses == ["installed", "present"]
    assert len(target.receipts()) == 1
    assert target.leftovers() == []


def test_an_interrupt_leaves_nothing(target, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt("now")

    monkeypatch.setattr("sealift_installer.extract.extract", interrupt)
    with pytest.raises(KeyboardInterrupt, match="now"):
        target.install()
    assert target.leftovers() == []


def test_times_are_those_of_the_steps(target):
    began = time.perf_counter()
    report = target.install()
    took = time.perf_counter() - began
    assert 0 < sum(report.seconds.values()) + sum(report.outcomes[0].seconds.values()) < took
