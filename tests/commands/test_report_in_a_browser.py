"""The page of `automix report` in a real browser: shown whole, at any width, asking for nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import Page, installed, opened_browser
from tests.commands.conftest import Automix
from tests.commands.measured_runs import write_measured
from tests.commands.test_report import HOSTILE, PARTS

pytestmark = pytest.mark.slow

HIDDEN = (
    "[...document.querySelectorAll('svg, img, table')].filter("
    "e => !e.closest('details') && e.getBoundingClientRect().width < 40).length"
)
PAPER = "getComputedStyle(document.documentElement).backgroundColor"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    program = installed()
    if program is None:
        pytest.skip("no Chromium or Chrome on the PATH, nor named by AUTOMIX_BROWSER")
    with opened_browser(program, tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def report(automix: Automix) -> Path:
    runs = [
        write_measured(Path("runs") / f"{n} $x$ {HOSTILE}", method=HOSTILE, class_name=HOSTILE)
        for n in range(2)
    ]
    assert automix("report", *runs, "-o", "page.html").exit_code == 0
    return Path("page.html").resolve()


def test_it_is_shown_at_every_width_and_taste_and_asks_for_nothing(
    report: Path, browser: Page
) -> None:
    papers: dict[str, str] = {}
    for width, colours in ((360, "light"), (768, "light"), (1440, "light"), (1440, "dark")):
        browser.resize(width, colours=colours)
        browser.open(report)
        assert browser.value("document.documentElement.scrollWidth") <= width
        assert browser.value("[...document.querySelectorAll('h2')].map(e => e.id)") == PARTS
        assert browser.value(HIDDEN) == 0
        assert browser.value("document.querySelectorAll('svg text').length") > 50
        assert browser.value("document.scripts.length") == 0
        assert browser.requests() == [report.as_uri()]
        assert browser.complaints() == []
        papers[colours] = browser.value(PAPER)
    assert papers["light"] != papers["dark"]


def test_a_page_that_asks_for_something_is_too_wide_or_complains_would_be_caught(
    tmp_path: Path, browser: Page
) -> None:
    page = tmp_path / "page.html"
    page.write_text(
        "<meta http-equiv=Content-Security-Policy content=\"script-src 'none'\">"
        "<div style='width: 900px'>wide</div><img src='other.png'><script>1</script>"
    )
    browser.resize(360)
    browser.open(page)
    assert browser.value("document.documentElement.scrollWidth") > 360
    assert browser.requests() == [page.as_uri(), (tmp_path / "other.png").as_uri()]
    assert browser.complaints()
