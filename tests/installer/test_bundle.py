"""Reading files of a bundle that somebody else controls."""

import os

import pytest

from sealift_installer.bundle import Bundle, is_control, root_name, signature_keyid, signature_name
from sealift_installer.errors import Damaged, HostError
from sealift_installer.limits import Limits


@pytest.fixture
def bundle(tmp_path):
    path = tmp_path / "bundle"
    (path / "folder").mkdir(parents=True)
    (path / "folder" / "file").write_bytes(b"12345")
    bundle = Bundle(path)
    assert bundle.read("folder/file", 5) == b"12345"
    listing = bundle.scan()
    assert (set(listing.sizes), listing.litter) == ({"folder/file"}, ())
    return bundle


def test_the_size_is_capped(bundle):
    with pytest.raises(Damaged, match=r"(?s)too large: folder/file.*at most 4 bytes.*5 bytes"):
        bundle.read("folder/file", 4)


@pytest.mark.parametrize("name", ["absent", "absent/file", "folder/absent", "FOLDER/file"])
def test_a_missing_file(bundle, name):
    with pytest.raises(Damaged, match=f"missing in the bundle: {name}"):
        bundle.read(name, 5)


@pytest.mark.parametrize(
    "name", ["../outside", "folder/../folder/file", "/etc/passwd", "", ".", "folder//file"]
)
def test_a_name_that_leads_out(bundle, name):
    (bundle.path.parent / "outside").write_bytes(b"x")
    with pytest.raises(Damaged, match=r"not a path inside the bundle"):
        bundle.read(name, 5)


def test_a_folder_in_the_place_of_a_file(bundle):
    with pytest.raises(Damaged, match=r"not a regular file in the bundle: folder"):
        bundle.read("folder", 5)


def test_a_file_in_the_place_of_a_folder(bundle):
    with pytest.raises(Damaged, match=r"a link, or not a file, on the way to folder/file/more"):
        bundle.read("folder/file/more", 5)


@pytest.mark.parametrize("target", ["file", "absent", "/dev/zero"])
def test_a_link_is_not_followed(bundle, target):
    (bundle.path / "folder" / "link").symlink_to(target)
    with pytest.raises(Damaged, match=r"a link, or not a file, on the way to folder/link"):
        bundle.read("folder/link", 5)


def test_a_linked_folder_is_not_followed(bundle):
    (bundle.path / "linked").symlink_to("folder")
    with pytest.raises(Damaged, match=r"a link, or not a file, on the way to linked/file"):
        bundle.read("linked/file", 5)


def test_the_bundle_itself_may_be_reached_by_a_link(bundle, tmp_path):
    (tmp_path / "stick").symlink_to(bundle.path)
    assert Bundle(tmp_path / "stick").read("folder/file", 5) == b"12345"


def test_a_pipe_does_not_hang(bundle):
    os.mkfifo(bundle.path / "pipe")
    with pytest.raises(Damaged, match=r"not a regular file in the bundle: pipe"):
        bundle.read("pipe", 5)
    with pytest.raises(Damaged, match=r"a special file in the bundle, which has only files: pipe"):
        bundle.scan()


def test_a_bundle_that_is_a_file(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(HostError, match=r"cannot open the bundle: Not a directory"):
        Bundle(tmp_path / "file").read("manifest.json", 5)
    with pytest.raises(HostError, match=r"cannot list the bundle: Not a directory"):
        Bundle(tmp_path / "file").scan()


def test_files_are_counted(bundle):
    limited = Bundle(bundle.path, Limits(bundle_files=1))
    with pytest.raises(Damaged, match=r"more than 1 files in the bundle"):
        limited.scan()


def test_depth_is_capped(bundle):
    deep = bundle.path.joinpath(*"abcdefgh")
    deep.mkdir(parents=True)
    with pytest.raises(Damaged, match=r"too deep in the bundle: a/b/c/d/e/f/g/h"):
        bundle.scan()


def test_root_versions_are_found_and_counted(bundle):
    folder = bundle.path / "trust" / "root"
    folder.mkdir(parents=True)
    for name in (
        "10.root.dsse.json",
        "2.root.dsse.json",
        "03.root.dsse.json",
        "x",
        "4.root.dsse.json~",
    ):
        (folder / name).write_bytes(b"")
    assert bundle.root_versions() == (2, 10)
    with pytest.raises(Damaged, match=r"more than 1 root versions"):
        Bundle(bundle.path, Limits(root_versions=1)).root_versions()


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable for root")
def test_a_file_that_cannot_be_read(bundle):
    (bundle.path / "folder" / "file").chmod(0)
    with pytest.raises(
        HostError, match=r"cannot read folder/file in the bundle: Permission denied"
    ):
        bundle.read("folder/file", 5)


def test_names_that_are_no_text(bundle):
    (bundle.path / os.fsdecode(b"\xff\x1b")).write_bytes(b"")
    names = set(bundle.scan().sizes)
    assert "\udcff\x1b" in names


def test_control_names_are_exact():
    keyid = "0123456789abcdef" * 4
    for name in (
        "manifest.json",
        "manifest.dsse.json",
        "SHA256SUMS",
        signature_name(keyid),
        root_name(1),
    ):
        assert is_control(name), name
    assert signature_keyid(signature_name(keyid)) == keyid[:16]
    for name in (
        "manifest.json\n",
        "Manifest.json",
        "x/manifest.json",
        "SHA256SUMS.sig",
        "SHA256SUMS.0123456789ABCDEF.sig",
        "SHA256SUMS.0123456789abcdef.sig\n",
        "SHA256SUMS.0123456789abcdef0.sig",
        "trust/root/0.root.dsse.json",
        "trust/root/01.root.dsse.json",
        "trust/root/\u0661.root.dsse.json",
        "trust/root/1.root.dsse.json\n",
        "trust/1.root.dsse.json",
    ):
        assert not is_control(name), name


def test_a_directory_that_is_no_bundle_is_called_so(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(Damaged, match="this is no bundle: ") as caught:
        Bundle(tmp_path).root_versions()
    assert caught.value.hint == "a bundle is a directory with a file manifest.dsse.json"
    with pytest.raises(HostError, match="cannot open the bundle: No such file"):
        Bundle(tmp_path / "missing").root_versions()
    with pytest.raises(HostError, match="cannot open the bundle: Not a directory"):
        Bundle(tmp_path / "notes.txt").root_versions()
