import os
import tempfile
from contextlib import suppress
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sealift_installer.archives import check_link, check_links, check_path, check_target, members
from sealift_installer.errors import Damaged
from sealift_installer.limits import LIMITS, Limits

# Characters and components that meet every rule.
PARTS = st.one_of(
    st.sampled_from(["", ".", "..", "...", "a", "C:", "bin", "a b", "é", "x" * 256]),
    st.text(max_size=5),
)
PATHS = st.builds("/".join, st.lists(PARTS, max_size=6))


@pytest.mark.parametrize(
    "name",
    [
        "bin/python3.11",
        "lib/python3.11/site-packages/pip-23.0.dist-info/RECORD",
        "share/terminfo/n/ncr260vt300wpp+",
        "man/man3/File::Spec.3pm",
        ".hidden/..almost/...",
        "with space/ü/日本語",
        "aux",
        "a.",
        "-rf",
        "~",
        "x" * 255,
        "/".join(["d"] * 64),
    ],
)
def test_safe_paths(name: str):
    check_path(name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "it is empty"),
        ("/etc/passwd", "it is absolute"),
        ("C:/x", "it is absolute"),
        ("c:x", "it is absolute"),
        ("..", "leaves the tree"),
        ("a/../b", "leaves the tree"),
        ("a/..", "leaves the tree"),
        (".", "a dot for one"),
        ("./a", "a dot for one"),
        ("a/", "empty component"),
        ("a//b", "empty component"),
        ("a\\b", "a backslash"),
        ("a\nb", "control character"),
        ("a\x85b", "control character"),
        ("a\u200bb", "invisible"),
        ("a\u202eb", "invisible"),
        ("\ufeffa", "invisible"),
        ("caf\udce9", "not UTF-8"),
        ("x" * 256, "a component is longer than 255 bytes"),
        ("é" * 128, "a component is longer than 255 bytes"),
        ("/".join(["d"] * 65), "more than 64 components"),
        ("/".join(["d" * 50] * 21), "longer than 1024 bytes"),
    ],
)
def test_unsafe_paths(name: str, reason: str):
    with pytest.raises(Damaged, match=reason) as caught:
        check_path(name)
    assert caught.value.message.isprintable()


@given(PATHS)
def test_a_safe_path_stays_where_it_says(name: str):
    try:
        check_path(name)
    except Damaged:
        return
    assert os.path.normpath(name) == name
    assert PurePosixPath(name).parts == tuple(name.split("/"))
    assert not name.startswith(("/", "../"))
    assert name != ".."
    assert name.encode()


@given(st.one_of(PATHS, st.from_regex(members._ORDINARY)))
def test_the_short_way_accepts_nothing_that_the_long_one_refuses(name: str):
    if len(name) <= LIMITS.path and members._ORDINARY.fullmatch(name):
        assert members._path_fault(name, LIMITS) == ""


@pytest.mark.parametrize("name", ["bin/python", "é"])
def test_limits_hold_for_ordinary_names_too(name: str):
    with pytest.raises(Damaged, match="longer than 1 bytes"):
        check_path(name, Limits(path=1))


@pytest.mark.parametrize(
    ("path", "target"),
    [("a/b", "../c"), ("a", "b"), ("a", "."), ("a/b/c", "../.."), ("a", "a"), ("a/b", "./x//y")],
)
def test_links_inside(path: str, target: str):
    check_link(path, target)


@pytest.mark.parametrize(
    ("path", "target", "reason"),
    [
        ("a", "..", "leaves the tree"),
        ("a/b", "../../c", "leaves the tree"),
        ("a/b", "../../root/a", "leaves the tree"),
        ("a", "b/../../c", "leaves the tree"),
        ("a", "/etc", "is absolute"),
        ("a", "C:/x", "is absolute"),
        ("a", "", "is empty"),
        ("a", "b\nc", "control"),
        ("a", "..\\c", "backslash"),
        ("a", "b/" * 600, "longer than 1024 bytes"),
    ],
)
def test_links_outside(path: str, target: str, reason: str):
    with pytest.raises(Damaged, match=reason):
        check_link(path, target)


def test_a_raw_target_may_be_absolute():
    check_target("/install/bin/python")
    with pytest.raises(Damaged, match="unsafe link target '': it is empty"):
        check_target("")


def test_long_names_are_cut_in_messages():
    with pytest.raises(Damaged, match=r"xxx\.\.\.'") as caught:
        check_path("x" * 5000)
    assert len(caught.value.message) < 300


NAMES = ["a", "b", "c", "d/e", "d/f", "d/g/h"]
TARGETS = st.builds(
    "/".join,
    st.lists(
        st.sampled_from(["..", ".", "a", "b", "c", "d", "e", "f", "g", "h"]), min_size=1, max_size=5
    ),
)


@given(st.dictionaries(st.sampled_from(NAMES), TARGETS))
@example({"d/e": "e/..", "d/f": "e/../.."})  # a loop
@example({"a": "d/g", "d/f": "../a/../h"})
def test_links_are_followed_as_the_kernel_does(links: dict[str, str]):
    for path, target in list(links.items()):
        try:
            check_link(path, target)
        except Damaged:
            del links[path]
    try:
        check_links(links)
    except Damaged:
        return
    with tempfile.TemporaryDirectory() as folder:
        top = Path(os.path.realpath(folder)) / "root"
        (top / "d" / "g").mkdir(parents=True)
        for path, target in links.items():
            (top / path).symlink_to(target)
        for path in links:
            with suppress(FileNotFoundError, NotADirectoryError):
                (top / path).stat()  # never a loop
            reached = os.path.realpath(top / path)
            assert reached == str(top) or reached.startswith(f"{top}/")


def test_an_escape_through_another_link():
    links = {"a/b/c": "../..", "d": "a/b/c/.."}
    for path, target in links.items():
        check_link(path, target)
    with pytest.raises(Damaged, match="it leaves the tree through another link"):
        check_links(links)


@pytest.mark.parametrize("links", [{"a": "b", "b": "a"}, {"c": "c/c"}, {"a": "a"}])
def test_links_in_a_circle(links):
    with pytest.raises(Damaged, match="leads through more than 40 links, or in a circle"):
        check_links(links)
