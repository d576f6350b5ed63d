"""The page for people: everything untrusted is text, nothing is loaded, everybody can read it."""

import re
from html.parser import HTMLParser

import pytest

from reports import GENERATOR, TIME, hostile, pages, report
from sealift_installer.page.document import bundle_page
from sealift_installer.page.figures import MOST_BARS, Amount, size_figure
from sealift_installer.page.markup import Markup, definitions, element, join, table, text
from sealift_installer.page.model import BundleReport
from sealift_installer.page.style import STYLE
from sealift_schemas.manifest import Manifest


class Balance(HTMLParser):
    """Checks that every element is closed where it was opened, and that ids are unique."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.elements: set[str] = set()

    def handle_starttag(self, tag, attrs):
        self.elements.add(tag)
        values = dict(attrs)
        self.ids += [values["id"]] if "id" in values else []
        self.links += [values["href"]] if "href" in values else []
        assert not any(name.startswith("on") or name == "style" for name, _ in attrs)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def balance(page: bytes) -> Balance:
    found = Balance()
    found.feed(page.decode("utf-8"))
    assert found.open == []
    return found


def test_text_is_escaped_where_it_becomes_content():
    assert element("p", 'a < b & "c"', title="'>") == (
        '<p title="&#x27;&gt;">a &lt; b &amp; &quot;c&quot;</p>'
    )
    assert text("a\u202eb\x1b") == "a\\u202eb\\x1b"


def test_markup_is_kept_and_what_is_made_of_it_as_text_is_not():
    inner = element("b", "x")
    assert join(inner, ["<", 3]) == "<b>x</b>&lt;3"
    assert join(f"{inner}") == "&lt;b&gt;x&lt;/b&gt;"
    assert isinstance(inner, Markup)


def test_a_term_with_nothing_is_left_out():
    assert definitions({"a": "", "b": [], "c": "d"}) == ("<dl><div><dt>c</dt><dd>d</dd></div></dl>")


def test_a_table_names_its_columns_and_rows():
    page = table("Things", ("Name", "Size"), [("one", 1)])
    assert "<caption>Things</caption>" in page
    assert '<th scope="col">Name</th>' in page
    assert '<th scope="row">one</th><td>1</td>' in page


def test_the_picture_says_in_words_what_it_shows_and_adds_up_the_smallest():
    amounts = [Amount(f"tool-{number}", number + 1, 10) for number in range(MOST_BARS + 5)]
    figure = size_figure(amounts)
    assert 'role="img"' in figure
    assert "<title>Sizes. tool-34: 35 B packed, 10 B unpacked; " in figure
    assert ">5 others</text>" in figure
    assert figure.count('class="packed"') == MOST_BARS + 1
    assert size_figure([Amount("empty", 0, 0)]).count('width="2"') == 2


@pytest.mark.parametrize("page", pages(hostile("http://a.invalid")))
def test_untrusted_text_makes_no_element(page):
    found = balance(page)
    assert not found.elements & {"script", "img", "link", "iframe", "object", "form", "base"}
    assert all(link.startswith("#") for link in found.links)
    assert b"\xe2\x80\xae" not in page, "a character that turns the text round"


@pytest.mark.parametrize("page", pages("a name"))
def test_a_page_is_whole(page):
    found = balance(page)
    assert len(set(found.ids)) == len(found.ids)
    assert {link.removeprefix("#") for link in found.links} <= set(found.ids)
    assert page.startswith(b'<!doctype html>\n<html lang="en">')
    assert b"default-src 'none'" in page.replace(b"&#x27;", b"'")


def test_a_page_says_whether_all_was_compared():
    page = bundle_page(report("a name"), GENERATOR).decode()
    assert "the files were not read" in page
    assert "1 warnings" in page


def test_a_page_that_travels_claims_no_signature():
    described = report("a name")
    unsigned = BundleReport(
        described.manifest, described.archives, described.roots, described.components
    )
    page = bundle_page(unsigned, GENERATOR).decode()
    assert "signatures verified" not in page
    assert "unseal verify BUNDLE" in page


def test_an_empty_bundle_has_a_page():
    manifest = Manifest("site", 1, 1, TIME, GENERATOR, "0.1.0", (), ())
    found = balance(bundle_page(BundleReport(manifest, (), (), ()), GENERATOR))
    assert "svg" not in found.elements


def colours(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block))


def luminance(colour: str) -> float:
    """Return the relative luminance (WCAG 2.2)."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(scheme):
    light, dark = STYLE.split("@media (prefers-color-scheme: dark)")
    found = colours(light) if scheme == "light" else colours(dark.split("* {")[0])
    pairs = [(name, "ground") for name in ("text", "quiet", "accent")]
    pairs += [("text", "raised")]
    pairs += [(name, f"{name}-ground") for name in ("good", "warn", "bad")]
    for front, back in pairs:
        one, two = sorted((luminance(found[front]), luminance(found[back])))
        assert (two + 0.05) / (one + 0.05) >= 4.5, (front, back)
