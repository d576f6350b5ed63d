"""The page for people in a real browser, which has a server to talk to and does not."""

import re

import pytest

from browser import Browser, find_browser
from loopback import LoopbackServer
from reports import GENERATOR, hostile, pages, report, target
from sealift_installer.page.document import bundle_page, target_page

pytestmark = pytest.mark.skipif(find_browser() is None, reason="there is no chromium")


@pytest.fixture
def browser(tmp_path):
    return Browser(tmp_path)


def test_a_browser_runs_and_fetches_nothing(browser, tmp_path):
    served = tmp_path / "served"
    served.mkdir()
    with LoopbackServer(served) as server:
        for number, page in enumerate(pages(hostile(server.url))):
            file = tmp_path / f"{number}.html"
            file.write_bytes(page)
            dom = browser.dom(file)
            assert "<script" not in dom
            assert "<img" not in dom
            assert "<title>taken" not in dom
            assert "&lt;script&gt;" in dom
        assert server.paths == []


def test_a_browser_draws_it_light_and_dark(browser, tmp_path):
    file = tmp_path / "page.html"
    file.write_bytes(bundle_page(report("a name"), GENERATOR))
    assert browser.first_pixel(file, dark=False) == (0xFF, 0xFF, 0xFF)
    assert browser.first_pixel(file, dark=True) == (0x11, 0x17, 0x1D)


def test_a_browser_prints_it(browser, tmp_path):
    file = tmp_path / "page.html"
    file.write_bytes(target_page(target("a name"), report("a name"), GENERATOR))
    paper = browser.printed(file)
    assert paper.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", paper)) in range(1, 6)
