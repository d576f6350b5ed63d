"""Every payload byte is read and compared."""

import pytest

from sealift_installer.errors import Damaged
from sealift_installer.verify import verify_files
from simulator import BundleSimulator, Member, SimArchive, small_bundle


@pytest.fixture
def site(tmp_path):
    site = BundleSimulator(tmp_path / "bundle")
    members = (Member("a", b"a" * 5000), Member("b", b"b"))
    site.add_archive(SimArchive("parted", members, format="tar", part_size=4096))
    site.add_archive(SimArchive("whole", members, format="zip"))
    return site.write()


def test_what_was_read_is_reported(site):
    seen = {}
    report = verify_files(
        site.authenticate(), lambda path, size: seen.update({path: seen.get(path, 0) + size})
    )
    assert (report.files, report.archives, report.entries, report.templates) == (
        len(site.payload),
        2,
        4,
        0,
    )
    assert report.size == sum(len(data) for data in site.payload.values())
    assert sum(seen.values()) == report.size


def test_one_flipped_bit_in_any_payload_file(site):
    for path in site.payload:
        site.flip_bit(path, len(site.payload[path]) - 1)
        with pytest.raises(Damaged, match=f"wrong SHA-256: {path}"):
            verify_files(site.authenticate())
        site.flip_bit(path, len(site.payload[path]) - 1)
    verify_files(site.authenticate())


def test_an_archive_whose_parts_are_in_another_order(site):
    site.write(lambda statement: statement["predicate"]["archives"][0]["parts"].reverse())
    authenticated = site.authenticate()
    with pytest.raises(Damaged, match=r"wrong SHA-256: archives/[0-9a-f]{9}-parted.tar.00[0-9]\n"):
        verify_files(authenticated)


def test_an_index_that_is_signed_and_malformed(tmp_path):
    site = small_bundle(tmp_path / "bundle")
    verify_files(site.authenticate())
    index = site.archives[0].index
    site.payload[index] += b"{}\n"
    site.write()
    with pytest.raises(Damaged, match=f"{index} is malformed at {index} line 7"):
        verify_files(site.authenticate())


def test_a_template_that_is_not_carried(tmp_path):
    site = small_bundle(tmp_path / "bundle")
    template = next(path for path in site.payload if path.startswith("templates/"))
    del site.payload[template]
    (site.path / template).unlink()
    site.write()
    authenticated = site.authenticate()
    with pytest.raises(Damaged, match=f"does not list: {template}"):
        verify_files(authenticated)
