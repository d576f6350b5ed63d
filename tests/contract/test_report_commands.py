"""The commands that write a page, from bundle to target."""

import hashlib
import json

import pytest

from sealift_installer import cli
from workshop import TOOL, Workshop, tree


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    workshop = Workshop(tmp_path_factory.mktemp("site")).found()
    workshop.add_tool()
    workshop.add_python()
    return workshop, workshop.build()


@pytest.fixture
def prefix(built, tmp_path):
    """A prefix that trusts the site and has the tool."""
    workshop, bundle = built
    made = tmp_path / "prefix"
    sha256 = hashlib.sha256(workshop.root.read_bytes()).hexdigest()
    where = ["--prefix", str(made), "--quiet"]
    assert cli.main(["trust", "import", str(workshop.root), "--sha256", sha256, *where]) == 0
    assert cli.main(["install", str(bundle), TOOL, *where]) == 0
    return made


def test_a_bundle_carries_a_page_that_is_in_the_signed_set(built):
    workshop, bundle = built
    page = (bundle / "report.html").read_text("utf-8")
    assert TOOL in page
    assert "signatures verified" not in page
    listed = {line.split("  ")[1] for line in (bundle / "SHA256SUMS").read_text().splitlines()}
    assert "report.html" in listed
    assert workshop.sealift("verify", bundle) == 0


def test_sealift_writes_a_page_beside_the_bundle_and_not_into_it(built, capsys):
    workshop, bundle = built
    before = tree(bundle)
    assert workshop.sealift("report", bundle) == 0
    file = bundle.with_name("bundle.report.html")
    page = file.read_text("utf-8")
    assert capsys.readouterr().out.strip() == str(file)
    assert "signatures verified" in page
    assert "SLSA provenance and verification summary" in page
    assert "https://site.invalid/tool-1.0.tar.gz" in page
    assert tree(bundle) == before
    # Once more: a page of ours is replaced.
    assert workshop.sealift("report", bundle, "--json") == 0
    assert json.loads(capsys.readouterr().out)["file"] == str(file)


def test_a_page_never_breaks_a_bundle(built, capsys):
    workshop, bundle = built
    assert workshop.sealift("report", bundle, "--output", bundle / "more.html") == 2
    assert "inside of the bundle" in capsys.readouterr().err
    assert not (bundle / "more.html").exists()


def test_a_page_replaces_nobodys_work(built, tmp_path, capsys):
    workshop, bundle = built
    mine = tmp_path / "mine.html"
    mine.write_text("<!doctype html>\nmine\n")
    assert workshop.sealift("report", bundle, "--output", mine) == 2
    assert "it is no report" in capsys.readouterr().err
    link = tmp_path / "link.html"
    link.symlink_to(mine)
    assert workshop.sealift("report", bundle, "--output", link) == 2
    assert mine.read_text() == "<!doctype html>\nmine\n"


def test_a_page_about_a_broken_bundle_is_refused(built, tmp_path, capsys):
    workshop, _ = built
    broken = workshop.build(name="broken")
    (broken / "README.txt").write_text("other\n")
    file = tmp_path / "page.html"
    assert workshop.sealift("report", broken, "--output", file) == 4
    assert not file.exists()
    assert "README.txt" in capsys.readouterr().err


def test_a_page_that_cannot_be_written_says_so(built, tmp_path, capsys):
    workshop, bundle = built
    assert workshop.sealift("report", bundle, "--output", tmp_path / "none" / "page.html") == 6
    assert "cannot write the report" in capsys.readouterr().err


def test_unseal_writes_what_was_done(built, prefix, tmp_path, capsys):
    _, bundle = built
    file = tmp_path / "page.html"
    where = ["--prefix", str(prefix), "--output", str(file)]
    assert cli.main(["report", *where, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["receipts"] == 2
    page = file.read_text("utf-8")
    assert "2. Installed" in page
    assert "1. Trust changed" in page
    assert "signatures verified" not in page
    assert cli.main(["report", str(bundle), *where]) == 0
    assert "signatures verified" in file.read_text("utf-8")


def test_unseal_writes_no_page_about_an_edited_record(prefix, tmp_path, capsys):
    record = prefix / "state" / "receipts.jsonl"
    record.write_bytes(record.read_bytes().replace(b"given by hand", b"given by Hans"))
    file = tmp_path / "page.html"
    assert cli.main(["report", "--prefix", str(prefix), "--output", str(file)]) == 3
    assert not file.exists()
    assert "does not follow the line before it" in capsys.readouterr().err
