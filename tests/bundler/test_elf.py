import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elf_builder import build_elf
from sealift_bundler.relocation.elf import Unpatchable, read_elf, rewrite_run_paths

OLD = "/opt/python/3.13/lib"
STRINGS = b"\0libc.so.6\0" + OLD.encode() + b"\0Py_Main\0libx.so.1\0"
PATH = STRINGS.index(OLD.encode())
NEEDED = ("NEEDED", STRINGS.index(b"libc"))
SYMBOL = STRINGS.index(b"Py_Main")


def renewed(entry):
    return "$ORIGIN/../lib" if entry == OLD else entry


@pytest.mark.parametrize("tag", ["RUNPATH", "RPATH"])
def test_the_run_path_is_replaced_in_place(tag):
    data = build_elf(STRINGS, [NEEDED, (tag, PATH)], [SYMBOL])
    changed = rewrite_run_paths(data, renewed)
    facts = read_elf(changed)
    assert facts is not None
    assert facts.run_path == ("$ORIGIN/../lib",)
    assert facts.needed == ("libc.so.6",)
    assert len(changed) == len(data)
    places = [place for place in range(len(data)) if data[place] != changed[place]]
    start = data.index(OLD.encode())
    assert start <= places[0]
    assert places[-1] < start + len(OLD)


def test_facts_of_a_library():
    soname = STRINGS.index(b"libx")
    facts = read_elf(build_elf(STRINGS, [NEEDED, ("SONAME", soname)], [SYMBOL]))
    assert facts is not None
    assert (facts.soname, facts.machine, facts.bits) == ("libx.so.1", "EM_X86_64", 64)
    assert facts.run_path == ()
    assert facts.interpreter is None


def test_other_entries_stay_and_equal_ones_become_one():
    strings = b"\0/a/lib:/usr/lib:/b/lib\0"
    data = build_elf(strings, [("RUNPATH", 1)])
    changed = rewrite_run_paths(data, lambda entry: "$ORIGIN" if entry != "/usr/lib" else entry)
    facts = read_elf(changed)
    assert facts is not None
    assert facts.run_path == ("$ORIGIN", "/usr/lib")


def test_nothing_to_change_gives_the_same_bytes():
    data = build_elf(STRINGS, [("RUNPATH", PATH)], [PATH])
    assert rewrite_run_paths(data, lambda entry: entry) == data


def test_a_longer_run_path_has_no_room():
    data = build_elf(b"\0/py/lib\0", [("RUNPATH", 1)])
    with pytest.raises(Unpatchable, match=r"'/py/lib' has no room for '\$ORIGIN/../lib'"):
        rewrite_run_paths(data, lambda _: "$ORIGIN/../lib")


@pytest.mark.parametrize(
    "shared",
    [
        pytest.param({"symbols": [PATH]}, id="a symbol has the same name"),
        pytest.param({"symbols": [PATH + len(OLD) - 3]}, id="a symbol is its tail"),
        pytest.param({"version_names": {PATH + 4: SYMBOL}}, id="a library's name is its tail"),
        pytest.param({"version_names": {SYMBOL: PATH + 4}}, id="a version is its tail"),
        pytest.param({"tags": [("NEEDED", PATH + 5)]}, id="a needed library is its tail"),
    ],
)
def test_a_shared_string_is_never_touched(shared):
    tags = [("RUNPATH", PATH), *shared.get("tags", [])]
    data = build_elf(STRINGS, tags, shared.get("symbols", ()), shared.get("version_names"))
    with pytest.raises(Unpatchable, match="is shared with another name"):
        rewrite_run_paths(data, renewed)


def test_the_tail_of_a_longer_string_is_never_touched():
    strings = b"\0prefix" + OLD.encode() + b"\0"
    data = build_elf(strings, [("RUNPATH", strings.index(OLD.encode()))])
    with pytest.raises(Unpatchable, match="is shared with another name"):
        rewrite_run_paths(data, renewed)


@pytest.mark.parametrize("data", [b"", b"#!/bin/sh\n", b"PK\x03\x04"])
def test_what_is_no_elf_file_is_left_alone(data):
    assert rewrite_run_paths(data, renewed) == data
    assert read_elf(data) is None


@given(st.integers(min_value=5), st.binary(max_size=8))
def test_a_malformed_file_is_refused_or_left_alone(cut, noise):
    whole = build_elf(STRINGS, [NEEDED, ("RUNPATH", PATH)], [SYMBOL])
    data = whole[: cut % len(whole)] + noise
    read_elf(data)
    try:
        changed = rewrite_run_paths(data, renewed)
    except Unpatchable as error:
        assert "malformed" in str(error) or "shared" in str(error)  # noqa: PT017 - both are right
    else:
        assert len(changed) == len(data)


def test_thousands_of_headers_are_not_read():
    """As found by the fuzzer: they need no bytes of their own, and each takes its time."""
    elf = build_elf(b"\0/install/lib\0", [("RUNPATH", 1)])
    assert read_elf(elf) is not None
    many = elf[:56] + (1001).to_bytes(2, "little") + elf[58:]
    assert read_elf(many) is None
    with pytest.raises(Unpatchable, match="it says that it has thousands of headers"):
        rewrite_run_paths(many, lambda entry: entry)


def test_version_tables_that_lead_to_themselves():
    """Many versions, each at the place of the one before it."""
    elf = build_elf(b"\0/install/lib\0lib\0V\0", [("RUNPATH", 1)], [], {14: 18})
    record, entry = struct.pack("<HHIII", 1, 1, 14, 16, 0), struct.pack("<IHHII", 0, 0, 2, 18, 0)
    assert record + entry in elf
    more = len(elf) - elf.index(record)
    first = struct.pack("<HHIII", 1, 0xFFFF, 14, 16, more)
    endless = elf.replace(record, first) + first[:-4] + bytes(4) + entry
    with pytest.raises(Unpatchable, match="its tables of versions do not end"):
        rewrite_run_paths(endless, lambda _: "/x")
