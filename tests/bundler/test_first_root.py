import hashlib
import time
from dataclasses import replace

import pytest

from sealift_bundler.keys import KeyFiles, create_key, keyid
from sealift_bundler.root_drafts import create_draft, refuse_second
from sealift_bundler.root_plan import RootPlan, first_root
from sealift_bundler.root_publish import publish
from sealift_bundler.roots import read_roots
from sealift_bundler.sign import FileSigner
from sealift_bundler.sign.signer import check_clock
from sealift_bundler.site import format_time
from sealift_installer.errors import Damaged, HostError, RefusedByPolicy, UsageError
from sealift_installer.trust.roots import read_first_root

TIME = "2026-01-31T09:00:00Z"


@pytest.fixture
def signers(tmp_path):
    made = []
    for name in ("a", "b", "c"):
        files = KeyFiles.named(tmp_path / "keys", name)
        create_key(files, "p256", None)
        made.append(FileSigner.load(files.private))
    return made


def plan(signers, threshold=1):
    members = [signer.public for signer in signers]
    return RootPlan(
        stream="line",
        created=TIME,
        roles=dict.fromkeys(("root", "release", "builder"), (members, threshold)),
    )


def create_first_root(directory, plan, signers):
    """Make version 1 as `sealift root init` does, or its draft: None is returned then."""
    refuse_second(directory)
    return publish(directory, create_draft(directory, first_root(plan), signers))


def test_the_installer_accepts_the_root_by_its_sha256(tmp_path, signers):
    file = create_first_root(tmp_path / "root", plan(signers, 2), signers)
    data = (tmp_path / "root" / "1.root.dsse.json").read_bytes()
    assert hashlib.sha256(data).hexdigest() == file.sha256
    root = read_first_root(data, file.sha256).root
    assert root.version == 1
    assert root.roles["release"].threshold == 2
    assert sorted(root.keys) == sorted(keyid(signer.public) for signer in signers)
    assert root.streams["line"].epoch == 1
    assert read_roots(tmp_path / "root") == (file,)


def test_the_same_keys_give_the_same_bytes(tmp_path, signers):
    one = create_first_root(tmp_path / "one", plan(signers), signers)
    other = create_first_root(tmp_path / "other", plan(signers[::-1]), signers[::-1])
    assert one.data == other.data


def test_a_root_below_its_own_threshold_is_a_draft(tmp_path, signers):
    assert create_first_root(tmp_path / "root", plan(signers, 2), signers[:1]) is None
    assert [path.name for path in (tmp_path / "root").iterdir()] == ["1.root.draft.json"]
    with pytest.raises(UsageError, match="there is no root") as caught:
        read_roots(tmp_path / "root")
    assert "sign the draft" in caught.value.hint
    with pytest.raises(UsageError, match="there is a draft already"):
        create_first_root(tmp_path / "root", plan(signers, 2), signers)


@pytest.mark.parametrize("threshold", [0, 4])
def test_a_threshold_that_cannot_be_reached(tmp_path, signers, threshold):
    with pytest.raises(UsageError, match=f"a threshold of {threshold} for the role root"):
        create_first_root(tmp_path / "root", plan(signers, threshold), signers)


def test_a_key_named_twice_counts_once(tmp_path, signers):
    with pytest.raises(UsageError, match=r"a threshold of 2 .* which has 1 key$"):
        create_first_root(tmp_path / "root", plan(signers[:1] * 2, 2), signers[:1])


def test_a_root_of_a_time_to_come_is_not_signed(tmp_path, signers):
    late = replace(plan(signers), created="2255-01-01T00:00:00Z")
    with pytest.raises(RefusedByPolicy, match="the time of the root is more than a day ahead"):
        create_first_root(tmp_path / "root", late, signers)
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize("early", [0, 3600, 86340])
def test_a_clock_may_be_a_day_behind(early):
    check_clock(format_time(int(time.time()) + early), "the root")
    with pytest.raises(RefusedByPolicy, match="more than a day ahead of the clock"):
        check_clock(format_time(int(time.time()) + early + 86460), "the root")


def test_a_published_version_never_changes(tmp_path, signers):
    create_first_root(tmp_path / "root", plan(signers), signers)
    with pytest.raises(UsageError, match="there is a root already"):
        create_first_root(tmp_path / "root", plan(signers), signers)


def test_a_folder_without_a_root(tmp_path):
    with pytest.raises(UsageError, match="there is no root") as caught:
        read_roots(tmp_path / "root")
    assert caught.value.hint == "make one: sealift root init --key NAME"


def test_a_gap_in_the_versions(tmp_path, signers):
    file = create_first_root(tmp_path / "root", plan(signers), signers)
    (tmp_path / "root" / "3.root.dsse.json").write_bytes(file.data)
    with pytest.raises(UsageError, match="not numbered from 1 without a gap"):
        read_roots(tmp_path / "root")


def test_a_version_under_another_number(tmp_path, signers):
    file = create_first_root(tmp_path / "root", plan(signers), signers)
    (tmp_path / "root" / "2.root.dsse.json").write_bytes(file.data)
    with pytest.raises(UsageError, match="not numbered from 1 without a gap"):
        read_roots(tmp_path / "root")


def test_what_is_no_root(tmp_path):
    (tmp_path / "1.root.dsse.json").write_text("{}")
    with pytest.raises(Damaged, match=r"1\.root\.dsse\.json is malformed"):
        read_roots(tmp_path)


def test_a_root_that_cannot_be_read(tmp_path):
    (tmp_path / "1.root.dsse.json").mkdir()
    with pytest.raises(HostError, match="cannot read the root"):
        read_roots(tmp_path)
