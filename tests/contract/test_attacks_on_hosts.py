"""/etc/sealift as the whole command finds it: a mount namespace gives each test an /etc of its own.

The place cannot be named to `unseal`, so it cannot be named to it here either.
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from machine import NOBODY, SPACE, Machine, succeeds
from road import PROGRAMS, run
from sealift_installer.trust.state import StateStore
from simulator import BundleSimulator
from target import tool

pytestmark = pytest.mark.skipif(
    not succeeds(*SPACE, "true"),
    reason="no mount namespace can be had here",
)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def open_machine() -> Iterator[Machine]:
    """A machine below a folder that everybody may enter, which those of pytest are not."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Machine(Path(folder))


def test_a_new_prefix_does_not_escape_the_host(machine: Machine, tmp_path: Path) -> None:
    machine.trust("--host")
    old = machine.site.path
    new = machine.carry(b"two\n")
    first, second = tmp_path / "first", tmp_path / "second"
    done = machine.unseal("install", new, "--prefix", first)
    assert done.returncode == 0, done.stderr
    assert StateStore(machine.host / "state").load().streams["site"].sequence == 2
    # The counters of the host hold for a prefix that knows nothing; so do its policy and its root.
    done = machine.unseal("install", old, "--prefix", second)
    assert done.returncode == 5
    assert "older than the newest that was accepted on this host" in done.stderr
    assert [path.name for path in second.iterdir()] == ["state"]
    machine.obey(forbidden_overrides=["allow_downgrade"])
    done = machine.unseal("install", old, "--prefix", second, "--allow-downgrade", "please")
    assert done.returncode == 5
    assert "--allow-downgrade is forbidden by /etc/sealift/policy.json" in done.stderr
    machine.obey(thresholds={"release": 2})
    third = machine.unseal("install", new, "--prefix", tmp_path / "third")
    assert third.returncode == 5
    assert "by the policy /etc/sealift/policy.json\n  Expected: 2 distinct" in third.stderr
    stranger = BundleSimulator(tmp_path / "stranger")
    stranger.add_archive(tool())
    root = stranger.write().path / "trust/root/1.root.dsse.json"
    digest = hashlib.sha256(root.read_bytes()).hexdigest()
    (machine.host / "policy.json").unlink()
    done = machine.unseal(
        *("trust", "import", root, "--sha256", digest, "--prefix", tmp_path / "fourth")
    )
    assert done.returncode == 3
    assert "this host trusts another root version 1: /etc/sealift" in done.stderr


def test_no_variable_leads_past_the_policy(machine: Machine, tmp_path: Path) -> None:
    machine.trust("--prefix", tmp_path / "prefix")
    machine.obey(streams=["other"])
    elsewhere = str(tmp_path / "elsewhere")
    done = machine.unseal(
        *("install", machine.site.path, "--prefix", tmp_path / "prefix"),
        HOME=elsewhere,
        XDG_CONFIG_HOME=elsewhere,
        XDG_CONFIG_DIRS=elsewhere,
        XDG_DATA_HOME=elsewhere,
        SEALIFT_HOST=elsewhere,
        SEALIFT_POLICY=elsewhere,
        SEALIFT_ETC=elsewhere,
        PREFIX=elsewhere,
    )
    assert done.returncode == 5
    assert "not accepted here, by the policy /etc/sealift/policy.json" in done.stderr


def test_a_malformed_policy_of_the_host_refuses_every_command(
    machine: Machine, tmp_path: Path
) -> None:
    prefix = tmp_path / "prefix"
    machine.trust("--prefix", prefix)
    for command in ("verify", "inspect", "install"):
        assert machine.unseal(command, machine.site.path, "--prefix", prefix).returncode == 0
    machine.obey(thresholds={"release": "two"})
    for command in ("verify", "inspect", "install"):
        done = machine.unseal(command, machine.site.path, "--prefix", prefix)
        assert done.returncode == 6
        assert (
            "so nothing is accepted: /etc/sealift/policy.json\n  At: policy.thresh" in done.stderr
        )
        assert "hint: mend the file" in done.stderr
    (machine.host / "policy.json").write_text('{"format": 1}')
    (machine.host / "policy.json").chmod(0o664)
    done = machine.unseal("install", machine.site.path, "--prefix", prefix)
    assert done.returncode == 6
    assert "Expected: writable by its owner alone\n  Computed: mode 0664" in done.stderr


def test_what_is_in_force_is_shown(machine: Machine, tmp_path: Path) -> None:
    machine.trust("--host")
    machine.obey(thresholds={"release": 1}, maximum_age_days=36500)
    done = machine.unseal("trust", "show", "--prefix", tmp_path / "prefix")
    assert done.returncode == 0
    assert "policy in force: /etc/sealift/policy.json\n  release: at least 1 signers" in done.stdout
    done = machine.unseal("trust", "show", "--host", "--json")
    assert json.loads(done.stdout)["policies"][0]["maximum_age_days"] == 36500
    done = machine.unseal("trust", "show", "--host", "--prefix", tmp_path / "prefix")
    assert done.returncode == 2
    assert not (tmp_path / "prefix").exists()


def test_a_root_of_the_host_is_removed_and_another_one_imported(
    machine: Machine, tmp_path: Path
) -> None:
    machine.trust("--host")
    done = machine.unseal("trust", "remove", "--host", "--reason", "the site lost its root keys")
    assert done.returncode == 0
    assert "root version 1 is not trusted any more" in done.stdout
    done = machine.unseal("install", machine.site.path, "--prefix", tmp_path / "prefix")
    assert done.returncode == 3
    assert "trusts no root any more, it was removed: /etc/sealift/state/trust.json" in done.stderr
    machine.trust("--host")
    done = machine.unseal("install", machine.site.path, "--prefix", tmp_path / "prefix")
    assert done.returncode == 0
    assert machine.unseal("receipts", "verify", "--prefix", "/etc/sealift").returncode == 0


@pytest.mark.skipif(
    os.geteuid() != 0
    or not succeeds("unshare", "--mount", *NOBODY, str(PROGRAMS / "unseal"), "-h"),
    reason="another user needs root, and a Python that others may run",
)
def test_somebody_without_privileges_obeys_the_host(open_machine: Machine) -> None:
    machine = open_machine
    machine.trust("--host")
    machine.obey(forbidden_overrides=["allow_downgrade"])
    home = machine.path / "home"
    home.mkdir()
    os.chown(home, 65534, 65534)
    prefix = home / "prefix"
    old, new = machine.site.path, machine.carry(b"two\n")
    before = (machine.host / "state/trust.json").read_bytes()
    done = machine.unseal("install", new, "--prefix", prefix, nobody=True)
    assert done.returncode == 0, done.stderr
    assert (machine.host / "state/trust.json").read_bytes() == before
    assert StateStore(prefix / "state").load().streams["site"].sequence == 2
    # Root raises the counter of the host, and the next prefix of the same user starts from it.
    done = machine.unseal("install", new, "--prefix", machine.path / "roots")
    assert done.returncode == 0, done.stderr
    done = machine.unseal("install", old, "--prefix", home / "another", nobody=True)
    assert done.returncode == 5
    assert "older than the newest that was accepted on this host" in done.stderr
    root = old / "trust/root/1.root.dsse.json"
    digest = hashlib.sha256(root.read_bytes()).hexdigest()
    for path in (machine.host, machine.host / "policy.json"):
        path.chmod(path.stat().st_mode & 0o700)
        done = machine.unseal("verify", new, "--prefix", prefix, nobody=True)
        assert done.returncode == 6
        said = (
            "this user cannot read what the host trusts: /etc/sealift/policy.json\nhint: let root"
        )
        assert said in done.stderr
        machine.host.chmod(0o755)
    done = machine.unseal("trust", "import", root, "--sha256", digest, "--host", nobody=True)
    assert done.returncode == 6
    assert "only root can say what this host trusts: /etc/sealift" in done.stderr


# What no host can see


def test_a_consistent_restore_is_found_against_an_exported_head(
    machine: Machine, tmp_path: Path
) -> None:
    """State and receipts together, put back to an older copy: the host takes them for its own."""
    prefix = tmp_path / "prefix"
    machine.trust("--prefix", prefix)
    assert machine.unseal("install", machine.site.path, "--prefix", prefix).returncode == 0
    copy = tmp_path / "copy"
    shutil.copytree(prefix / "state", copy)
    old = machine.site.path
    new = machine.carry(b"two\n")
    assert machine.unseal("install", new, "--prefix", prefix).returncode == 0
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    assert machine.unseal("receipts", "export", before, "--prefix", prefix).returncode == 0
    check = run(PROGRAMS / "sealift", "receipts", "verify", before, check=False)
    assert check.returncode == 0, check.stdout + check.stderr
    shutil.rmtree(prefix / "state")
    shutil.copytree(copy, prefix / "state")
    time.sleep(1)  # the clock of an export counts seconds
    # Nothing on the host can see it: the record is whole, and the older bundle is accepted.
    assert machine.unseal("receipts", "verify", "--prefix", prefix).returncode == 0
    assert machine.unseal("install", old, "--prefix", prefix).returncode == 0
    assert machine.unseal("receipts", "export", after, "--prefix", prefix).returncode == 0
    check = run(PROGRAMS / "sealift", "receipts", "verify", before, after, check=False)
    assert check.returncode == 3
    assert "contradict each other" in check.stderr
