"""The craft of every built page, at three widths: each is loaded once for each, and looked at once.

A phone, a tablet and a desktop. What the look gives is in `craft.js`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from companion.chapters import Book
from companion.errors import InputError

WIDTHS = (375, 768, 1280)
DESKTOP, SCREEN = 1280, 800
LEAST_TYPE = 9.0
LONGEST = 9_000
LOOK = Path(__file__).with_name("craft.js").read_text("utf-8")
IDENTIFIER = re.compile(r"(?<![\w/.])[a-z]+(?:_[a-z]+)+(?![\w/.(])")
MATH = re.compile(r"\$[^$]*\$")
RAW = re.compile(
    r"Traceback|\w+Error\(|\w+Error:|0x[0-9a-f]{6}|(?<![\w.:/])/(?:home|root|work|tmp|usr)/"
)


def _pages() -> list[str]:
    try:
        return sorted(path.stem for path in Book.here().html.glob("book/*.html"))
    except InputError:
        return []


PAGES = _pages()
pytestmark = [pytest.mark.slow, pytest.mark.parametrize("name", PAGES)]


@pytest.fixture(scope="module")
def look(browser, address) -> Iterator[Callable[..., dict[str, Any]]]:
    """What a page looks like at a width; with `mode`, what axe finds in it and its captions."""
    contexts = []

    @functools.cache
    def opened(width: int, mode: str) -> Any:
        size = {"width": width, "height": SCREEN}
        contexts.append(browser.new_context(viewport=size, color_scheme=mode))
        return contexts[-1].new_page()

    @functools.cache
    def go(name: str, width: int) -> dict[str, Any]:
        mode = "dark" if width == min(WIDTHS) else "light"
        page = opened(width, mode)
        page.goto(f"{address}/book/{name}.html", wait_until="networkidle", timeout=60_000)
        if page.locator("article .math").count():
            page.wait_for_selector("article mjx-container", state="attached", timeout=30_000)
        seen = page.evaluate(LOOK)
        if width in (min(WIDTHS), max(WIDTHS)):
            found = Axe().run(page, context="article").response["violations"]
            seen["axe"] = [one for one in found if one["impact"] in ("serious", "critical")]
        return seen

    yield go
    for context in contexts:
        context.close()


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_page(look, name, width):
    seen = look(name, width)
    assert seen["wide"] == []
    assert seen["scroll"] <= 0


@pytest.mark.parametrize("width", WIDTHS)
def test_all_type_can_be_read(look, name, width):
    seen = look(name, width)
    assert seen["small"] == []
    small = {one["alt"]: one["type"] for one in seen["figures"] if one["type"] is not None}
    assert {alt: size for alt, size in small.items() if size < LEAST_TYPE - 0.05} == {}


def test_no_legend_lies_on_data(look, name):
    figures = look(name, DESKTOP)["figures"]
    assert [one["alt"] for one in figures if one["covered"] > 0.1] == []


def test_no_name_of_a_line_lies_on_another(look, name):
    figures = look(name, DESKTOP)["figures"]
    assert [one["alt"] for one in figures if one["touching"]] == []


@pytest.mark.parametrize(("width", "mode"), [(1280, "light"), (375, "dark")])
def test_axe_finds_nothing_serious(look, name, width, mode):
    """Contrast of text and captions, names of links, scrolling by keyboard, and more."""
    found = look(name, width)["axe"]
    assert [(one["id"], [node["target"] for node in one["nodes"]][:4]) for one in found] == []


def test_the_key_figure_is_on_the_first_screen(look, name, chapters):
    if name not in chapters:
        pytest.skip("not a chapter")
    assert look(name, DESKTOP)["key"] <= SCREEN


def test_a_page_is_not_too_long(look, name):
    if name == "api":
        pytest.skip("a reference, to be searched")
    assert look(name, DESKTOP)["height"] <= LONGEST


def test_prose_and_figures_speak_words_not_identifiers(look, name):
    seen = look(name, DESKTOP)
    if name == "api":
        pytest.skip("its subject is identifiers")
    words = [MATH.sub("", word) for figure in seen["figures"] for word in figure["words"]]
    assert [found for text in [*seen["prose"], *words] for found in IDENTIFIER.findall(text)] == []
    assert [found for text in seen["prose"] for found in RAW.findall(text)] == []
