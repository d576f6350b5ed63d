import re

import pytest

from sealift_bundler import specfile
from sealift_bundler.site import (
    Site,
    create_site,
    find_key,
    find_site,
    format_time,
    present_time,
    read_site,
    stream_name,
)
from sealift_installer.errors import HostError, UsageError

MINIMAL = 'format = 1\nstream = "line"\n'


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / specfile.NAME
    path.write_text(MINIMAL)
    return path


def test_a_new_site_is_named_after_its_directory(tmp_path):
    path = create_site(tmp_path / "My Site!")
    site = read_site(tmp_path / "My Site!")
    assert path == site.spec_path
    assert site.spec.stream == "my-site"
    assert "*.key.pem" in (site.directory / ".gitignore").read_text()


def test_a_site_is_not_made_twice(tmp_path):
    create_site(tmp_path)
    with pytest.raises(UsageError, match="there is a site already"):
        create_site(tmp_path)


def test_a_site_is_found_from_below(tmp_path):
    create_site(tmp_path)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert find_site(below) == tmp_path


def test_outside_of_a_site_the_error_says_how_to_make_one(tmp_path):
    with pytest.raises(UsageError, match=r"no sealift\.toml in") as caught:
        read_site(tmp_path)
    assert caught.value.hint == "make a site: sealift init DIR"


@pytest.mark.parametrize(
    ("name", "stream"),
    [
        ("Plain", "plain"),
        ("a b", "a-b"),
        ("..", "site"),
        ("ünïcode", "n-code"),
        ("x" * 99, "x" * 63),
    ],
)
def test_stream_names(name, stream):
    assert stream_name(name) == stream


def test_source_date_epoch_decides_the_time(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert present_time() == "2023-11-14T22:13:20Z"


@pytest.mark.parametrize("value", ["", "-1", "1.5", "today", "1" * 12])
def test_a_source_date_epoch_that_is_none(monkeypatch, value):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", value)
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH is no number of seconds"):
        present_time()


def test_times_are_utc():
    assert format_time(0) == "1970-01-01T00:00:00Z"


def test_keys_are_found_by_name_and_by_path(tmp_path):
    named = find_key("release", tmp_path)
    assert named.private == tmp_path / "keys" / "release.key.pem"
    assert named.public == tmp_path / "keys" / "release.pub.pem"
    by_path = find_key("/safe/other.key.pem", tmp_path)
    assert str(by_path.public) == "/safe/other.pub.pem"
    assert str(find_key("/safe/plain.pem", tmp_path).private) == "/safe/plain.pem"


@pytest.mark.parametrize("name", ["../up", "a/b", "", "Upper", "sp ace"])
def test_what_is_no_name_of_a_key(tmp_path, name):
    with pytest.raises(UsageError, match="not the name of a key"):
        find_key(name, tmp_path)


def test_roots_are_relative_to_the_site(tmp_path, spec):
    spec.write_text(MINIMAL + '[signing]\nkeys = ["k.key.pem"]\nroots = "trusted"\n')
    site = Site(tmp_path, specfile.read_spec(spec))
    assert site.roots == tmp_path / "trusted"


def test_an_added_table_leaves_comments_alone(spec):
    text = MINIMAL + "# why 3.13\n[[python]]\nrequest = '3.13'  # newest\n"
    spec.write_text(text)
    specfile.append_tables(
        spec, [("python", {"request": "3.12", "platforms": ["linux-x86_64-gnu"]})]
    )
    specfile.append_tables(spec, [("package", {"request": "a==1", "links": {"x": "bin/x"}})])
    assert spec.read_text().startswith(text)
    read = specfile.read_spec(spec)
    assert [python.request for python in read.python] == ["3.13", "3.12"]
    assert read.package[0].links == {"x": "bin/x"}


def test_an_addition_that_breaks_the_schema_changes_nothing(spec):
    with pytest.raises(UsageError, match="platforms"):
        specfile.append_tables(spec, [("python", {"request": "3.12", "platforms": ["dos"]})])
    assert spec.read_text() == MINIMAL
    assert [path.name for path in spec.parent.iterdir()] == [spec.name]


def test_signing_keys_are_added_once(spec):
    specfile.add_keys(spec, ["a.key.pem"])
    specfile.add_keys(spec, ["a.key.pem", "b.key.pem"])
    assert specfile.read_spec(spec).keys == ("a.key.pem", "b.key.pem")


BROKEN = [
    ("format = 1\n", r"the whole file\n  Expected: the key stream\n  Found: none"),
    ('format = 2\nstream = "a"\n', r"line 1: format\n  Expected: 1\n  Found: 2"),
    ('format = 1\nstream = "A b"\n', r"line 2: stream\n  Expected: A stream's name"),
    (MINIMAL + "strem = 1\n", r"line 3: strem\n  Expected: one of .*stream.*\n  Found: this key"),
    (
        MINIMAL + "[[python]]\nrequest = '3'\n\n[[python]]\nrequest = 3\n",
        r"line 7: python\[1\]\.request\n  Expected: a value of type string\n  Found: 3",
    ),
    (
        MINIMAL + "[[url]]\nname = 'x'\nversion = '1'\n",
        r"line 3: url\[0\]\n  Expected: the key url\n  Found: none",
    ),
    (
        MINIMAL + "[signing]\nkeys = 'one'\n",
        r"line 4: signing\.keys\n  Expected: a value of type array",
    ),
    (
        MINIMAL + "expires_days = 1.5\n",
        r"line 3: expires_days\n  Expected: a value of type integer",
    ),
    (
        MINIMAL + "python = [{request = 1}]\n",
        r"line 3: python\[0\]\.request\n  Expected: a value of type string",
    ),
    (MINIMAL + "expires_days = 0\n", r"line 3: expires_days\n  Expected: a number of at least 1"),
    (MINIMAL + "[[url\n", r"is not TOML: .*line 3"),
    (MINIMAL + "when = 2026-01-01\n", r"line 3: when"),
]


@pytest.mark.parametrize(("text", "expected"), BROKEN)
def test_a_broken_spec_names_file_line_key_and_what_is_expected(spec, text, expected):
    spec.write_text(text)
    with pytest.raises(UsageError, match=f"{re.escape(str(spec))}.*{expected}"):
        specfile.read_spec(spec)


def test_all_that_is_wrong_is_named_at_once(spec):
    spec.write_text("format = 2\nstream = 1\n")
    with pytest.raises(UsageError, match=r"(?s)line 1: format.*line 2: stream"):
        specfile.read_spec(spec)


def test_a_spec_that_is_not_utf8(spec):
    spec.write_bytes(b"format = 1\n# \xff\n")
    with pytest.raises(UsageError, match="is not UTF-8: an invalid byte at offset 13"):
        specfile.read_spec(spec)


def test_a_spec_that_cannot_be_read(tmp_path):
    (tmp_path / specfile.NAME).mkdir()
    with pytest.raises(HostError, match="cannot read the spec"):
        specfile.read_spec(tmp_path / specfile.NAME)
