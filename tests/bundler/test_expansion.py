"""One wish that stands for many archives: every minor version, every patch, every platform."""

import json

import pytest

from catalogs import entry
from sealift_bundler.lock import read_lock
from workshop import TOOL, Workshop, digest


def publish(workshop, *wanted):
    """Serve an archive of its own for each (minor, patch, libc), and a catalogue of them."""
    entries = {}
    for minor, patch, libc in wanted:
        name = f"cpython-3.{minor}.{patch}-{libc}.tar.gz"
        path = workshop.served / name
        if not path.exists():
            workshop.serve(name, {"python/bin/python": name.encode()})
        entries[name] = entry(
            minor=minor, patch=patch, libc=libc, url=path.as_uri(), sha256=digest(path)
        )
    (workshop.served / "downloads.json").write_text(json.dumps(entries))


@pytest.fixture
def workshop(tmp_path):
    workshop = Workshop(tmp_path).found()
    publish(workshop, *FIRST)
    return workshop


FIRST = [
    *((11, 1, "gnu"), (11, 2, "gnu"), (12, 5, "gnu"), (13, 0, "gnu"), (13, 1, "gnu")),
    *((12, 5, "musl"), (13, 1, "musl"), (13, 0, "musl")),
]
GNU = ("--platform", "linux-x86_64-gnu")


def names(workshop):
    assert workshop.sealift("lock") == 0
    return locked(workshop)


def locked(workshop):
    lock = read_lock(workshop.lock)
    assert lock is not None
    names = [archive.name for archive in lock.archives]
    return [name.removeprefix("cpython-").replace("linux-x86_64-", "") for name in names]


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        ((">=3.11", *GNU), ["3.13.1-gnu"]),
        ((">=3.11", "--each", "minor", *GNU), ["3.11.2-gnu", "3.12.5-gnu", "3.13.1-gnu"]),
        (("cpython", "--each", "minor", *GNU), ["3.11.2-gnu", "3.12.5-gnu", "3.13.1-gnu"]),
        ((">=3.13", "--each", "patch", *GNU), ["3.13.0-gnu", "3.13.1-gnu"]),
        (("3.13", "--all-platforms"), ["3.13.1-gnu", "3.13.1-musl"]),
        ((">=3.11", "--each", "minor", "--all-platforms"),
         ["3.11.2-gnu", "3.12.5-gnu", "3.12.5-musl", "3.13.1-gnu", "3.13.1-musl"]),
        ((">=3.11", "--each", "minor", *GNU, "--platform", "linux-x86_64-musl"),
         ["3.11.2-gnu", "3.12.5-gnu", "3.12.5-musl", "3.13.1-gnu", "3.13.1-musl"]),
    ],
)  # fmt: skip
def test_what_a_wish_stands_for(workshop, words, keys):
    assert workshop.sealift("add", *words) == 0
    assert names(workshop) == keys


def test_what_was_found_is_kept_until_an_upgrade(workshop, capsys):
    assert workshop.sealift("add", ">=3.12", "--each", "minor", *GNU) == 0
    assert names(workshop) == ["3.12.5-gnu", "3.13.1-gnu"]
    publish(workshop, *FIRST, (12, 6, "gnu"), (14, 0, "gnu"))
    workshop.add_tool()
    assert names(workshop) == ["3.12.5-gnu", "3.13.1-gnu", TOOL.replace("linux-x86_64-", "")]
    assert workshop.sealift("lock", "--upgrade") == 0
    assert locked(workshop)[:3] == ["3.12.6-gnu", "3.13.1-gnu", "3.14.0-gnu"]


def test_a_wish_keeps_what_it_shares_with_one_that_is_gone(workshop):
    assert workshop.sealift("add", "3.13", *GNU) == 0
    assert workshop.sealift("add", ">=3.12", "--each", "minor", *GNU) == 0
    assert names(workshop) == ["3.12.5-gnu", "3.13.1-gnu"]
    text = workshop.spec.read_text()
    first = text.index("[[python]]")
    workshop.spec.write_text(text[:first] + text[text.index("[[python]]", first + 1) :])
    assert names(workshop) == ["3.12.5-gnu", "3.13.1-gnu"]


@pytest.mark.parametrize(
    "wishes",
    [
        [(">=3.12", "--each", "minor", *GNU), ("3.12", *GNU)],
        [("3.12", *GNU), ("cpython@3.12", *GNU)],
        [("3.12", *GNU), ("3.12-linux-x86_64-gnu",)],
        [("3.12", "--each", "patch", *GNU), ("3.12", *GNU)],
        [("3.12", *GNU), ("3.12", "--each", "patch", *GNU)],
    ],
)
def test_wishes_for_the_same_archive_keep_it(workshop, wishes):
    first = [(12, patch, "gnu") for patch in (2, 9, 10)]
    publish(workshop, *first)
    for words in wishes:
        assert workshop.sealift("add", *words) == 0
    kept = names(workshop)
    assert "3.12.10-gnu" in kept
    publish(workshop, *first, (12, 11, "gnu"))
    workshop.add_tool()
    assert names(workshop)[:-1] == kept
    # Nor does any of them need the others.
    text = workshop.spec.read_text()
    tables = text[text.index("[[python]]") : text.index("[[url]]")].split("\n\n")
    for table in (one for one in tables if one.strip()):
        workshop.spec.write_text(text.partition("[[python]]")[0] + table + "\n")
        here = names(workshop)
        assert "3.12.10-gnu" in here
        assert "3.12.11-gnu" not in here
        workshop.spec.write_text(text)
        assert workshop.sealift("lock", "--upgrade") == 0
        assert "3.12.11-gnu" in locked(workshop)
        publish(workshop, *first)
        assert workshop.sealift("lock", "--upgrade") == 0
        publish(workshop, *first, (12, 11, "gnu"))


def test_the_wish_that_is_left_is_told(workshop, capsys):
    assert workshop.sealift("add", "3.12", *GNU) == 0
    text = workshop.spec.read_text()
    assert workshop.sealift("add", "cpython@3.12", *GNU) == 0
    assert names(workshop) == ["3.12.5-gnu"]
    workshop.spec.write_text(text.replace('"3.12"', '"cpython@3.12"'))
    capsys.readouterr()
    assert names(workshop) == ["3.12.5-gnu"]
    told = capsys.readouterr().out
    assert told == "~ cpython-3.12.5-linux-x86_64-gnu: now for the wish cpython@3.12\n"


def test_one_of_two_wishes_is_upgraded(workshop):
    assert workshop.sealift("add", ">=3.12", "--each", "minor", *GNU) == 0
    assert workshop.sealift("add", "3.12", *GNU) == 0
    assert names(workshop) == ["3.12.5-gnu", "3.13.1-gnu"]
    publish(workshop, *FIRST, (12, 6, "gnu"))
    assert workshop.sealift("lock", "--upgrade", ">=3.12") == 0
    assert locked(workshop) == ["3.12.5-gnu", "3.12.6-gnu", "3.13.1-gnu"]
    assert workshop.sealift("lock", "--upgrade", "cpython-3.12.5-linux-x86_64-gnu") == 0
    assert locked(workshop) == ["3.12.6-gnu", "3.13.1-gnu"]


def test_pyodide_is_kept_on_whatever_machine(workshop):
    path = workshop.serve("pyodide.tar.gz", {"pyodide-root/dist/python": b"wasm"})
    more = {"os": "emscripten", "libc": "musl", "url": path.as_uri(), "sha256": digest(path)}
    catalog = workshop.served / "downloads.json"
    catalog.write_text(
        json.dumps({"one": {**entry(**more), "arch": {"family": "wasm32", "variant": None}}})
    )
    assert workshop.sealift("add", "pyodide") == 0
    kept = names(workshop)
    catalog.unlink()
    workshop.add_tool()
    assert names(workshop)[: len(kept)] == kept


def test_a_wish_that_changes_is_looked_up_anew(workshop):
    assert workshop.sealift("add", ">=3.12", "--each", "minor", *GNU) == 0
    assert names(workshop) == ["3.12.5-gnu", "3.13.1-gnu"]
    workshop.spec.write_text(workshop.spec.read_text().replace('"minor"', '"patch"'))
    assert names(workshop) == ["3.12.5-gnu", "3.13.0-gnu", "3.13.1-gnu"]


def test_upgrade_of_one_name(workshop, capsys):
    assert workshop.sealift("add", "3.12", "3.13", *GNU) == 0
    assert names(workshop) == ["3.12.5-gnu", "3.13.1-gnu"]
    publish(workshop, *FIRST, (12, 6, "gnu"), (13, 2, "gnu"))
    assert workshop.sealift("lock", "--upgrade", "3.12") == 0
    assert locked(workshop) == ["3.12.6-gnu", "3.13.1-gnu"]
    assert workshop.sealift("lock", "--upgrade", "cpython-3.13.1-linux-x86_64-gnu") == 0
    assert locked(workshop) == ["3.12.6-gnu", "3.13.2-gnu"]
    capsys.readouterr()
    assert workshop.sealift("lock", "--upgrade", "3.99") == 2
    assert "neither the spec nor the lock has 3.99" in capsys.readouterr().err
    assert workshop.sealift("lock", "3.12") == 2
    assert "say --upgrade 3.12" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("3.13", "--each", "month"), "Expected: minor or patch"),
        (("3.13", "--all-platforms", *GNU), "--all-platforms leaves nothing to --platform"),
        (("pypi:ruff==0.9.0", "--each", "minor"), "go with requests for a Python"),
        (("--url", "https://example.invalid/a.zip", "--name", "a", "--version", "1",
          "--accept-digest", "sha256:" + "0" * 64, "--all-platforms"),
         "go with requests for a Python"),
    ],
)  # fmt: skip
def test_words_that_do_not_go_together(workshop, capsys, words, message):
    before = workshop.spec.read_text()
    assert workshop.sealift("add", *words) == 2
    assert message in capsys.readouterr().err
    assert workshop.spec.read_text() == before


def test_a_platform_without_any_of_the_versions(workshop, capsys):
    words = ("--each", "minor", *GNU, "--platform", "linux-x86_64-musl")
    assert workshop.sealift("add", ">=3.11,<3.12", *words) == 0
    assert workshop.sealift("lock") == 2
    assert "the catalogue has no cpython" in capsys.readouterr().err


def test_many_archives_and_some_without_a_digest(workshop, capsys):
    path = workshop.served / "downloads.json"
    entries = json.loads(path.read_text())
    entries["cpython-3.11.2-gnu.tar.gz"]["sha256"] = None
    path.write_text(json.dumps(entries))
    assert workshop.sealift("add", ">=3.11", "--each", "minor", *GNU) == 0
    assert workshop.sealift("lock") == 2
    shown = capsys.readouterr().err
    assert "no digest for cpython-3.11.2-linux-x86_64-gnu" in shown
    assert "ask for a narrower range" in shown
