"""Every built page as a reader sees it: math, figures, search, theme, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from companion.chapters import Book
from companion.errors import InputError

SECONDS = 1000.0
LEAST_ALT, LEAST_CAPTION = 20, 20
UNFOLDED = "document.querySelectorAll('details').forEach(one => { one.open = true; })"


def _pages() -> list[str]:
    try:
        html = Book.here().html
    except InputError:
        return []
    return sorted(path.stem for path in html.glob("book/*.html"))


PAGES = _pages()
pytestmark = pytest.mark.slow


@dataclass
class Visit:
    """One open page, and what it complained about or asked for elsewhere."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)


@pytest.fixture
def visit(browser, address) -> Iterator[Callable[..., Visit]]:
    """Open a page of the book and wait until it has settled."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")

    def go(path: str) -> Visit:
        seen = Visit(context.new_page())

        def gate(route) -> None:
            if route.request.url.startswith((address, "data:", "blob:")):
                route.continue_()
            else:
                seen.outside.append(route.request.url)
                route.abort()

        seen.page.route("**/*", gate)
        seen.page.on("console", lambda said: _note(seen, said))
        seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        seen.page.goto(f"{address}/{path}", wait_until="networkidle", timeout=60 * SECONDS)
        return seen

    yield go
    context.close()


def _note(seen: Visit, said) -> None:
    if said.type in ("error", "warning"):
        seen.complaints.append(said.text)


def test_there_are_pages(built):
    assert {"intro", "notation", "claims", "api", "bibliography"} < set(PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole_and_asks_nobody_else(visit, name):
    seen = visit(f"book/{name}.html")
    _math_is_typeset(seen.page)
    seen.page.evaluate(UNFOLDED)
    for image in seen.page.locator("article img").all():
        image.scroll_into_view_if_needed()
        assert image.evaluate("one => one.complete && one.naturalWidth > 50"), "an empty figure"
        assert len(image.get_attribute("alt") or "") >= LEAST_ALT
        caption = image.locator("xpath=ancestor::figure//figcaption | ancestor::div[figcaption]")
        assert len(caption.first.text_content() or "") >= LEAST_CAPTION
    width = seen.page.evaluate("document.documentElement.scrollWidth")
    assert width <= 1280, "the page scrolls sideways"
    assert seen.complaints == []
    assert seen.outside == []


def _math_is_typeset(page) -> None:
    if page.locator("article .math").count():
        page.wait_for_selector("article mjx-container", state="attached", timeout=30 * SECONDS)
        untypeset = "[...document.querySelectorAll('article .math')]"
        page.wait_for_function(
            f"{untypeset}.every(one => one.querySelector('mjx-container'))", timeout=30 * SECONDS
        )
        assert page.locator("article [data-mjx-error], article mjx-merror").count() == 0


def test_the_front_door_leads_to_the_introduction(visit):
    seen = visit("index.html")
    seen.page.wait_for_url("**/book/intro.html")
    assert "depth" in seen.page.title()
    assert seen.outside == []


def test_the_theme_switch_changes_the_page(visit):
    seen = visit("book/intro.html")
    root = seen.page.locator("html")
    modes = {root.get_attribute("data-theme")}
    colours = set()
    for _ in range(3):
        seen.page.locator("button.theme-switch-button:visible").first.click()
        modes.add(root.get_attribute("data-theme"))
        colours.add(seen.page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert modes == {"light", "dark"}
    assert len(colours) == 2
    assert seen.complaints == []


def test_search_finds_a_word_of_the_book(visit):
    seen = visit("search.html?q=ensemble")
    seen.page.wait_for_selector("#search-results li a", timeout=30 * SECONDS)
    found = seen.page.locator("#search-results li a").first.get_attribute("href")
    assert "book/" in found
    assert seen.complaints == []
    assert seen.outside == []


def test_the_search_button_opens_the_search(visit):
    seen = visit("book/notation.html")
    seen.page.locator(".search-button-field:visible, .search-button__button:visible").first.click()
    field_ = seen.page.locator("input[type=search]:visible").first
    field_.fill("rotation")
    field_.press("Enter")
    seen.page.wait_for_selector("#search-results li a", timeout=30 * SECONDS)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_claim_boxes_are_readable_in_both_modes(visit, built, mode):
    seen = visit("book/claims.html")
    seen.page.emulate_media(color_scheme=mode)
    for link in _claim_links(seen.page):
        assert (built.html / "book" / link.split("#")[0]).exists()
        inside = visit(f"book/{link}")
        inside.page.emulate_media(color_scheme=mode)
        box = inside.page.locator(f"[id='{link.split('#')[1]}']")
        assert box.is_visible()
        assert _contrast(box) > 4.5


def test_the_ledger_shows_the_verdicts_that_are_asked_for(visit):
    page = visit("book/claims.html").page
    page.set_viewport_size({"width": 375, "height": 800})
    claims = page.locator(".forest article")
    assert all(one.locator(".chip").is_visible() for one in claims.all())
    key = page.locator(".forest .keys button").first
    word = key.get_attribute("data-verdict")
    key.click()
    assert key.get_attribute("aria-pressed") == "false"
    hidden = [one for one in claims.all() if not one.is_visible()]
    assert {one.get_attribute("data-verdict") for one in hidden} == {word}
    assert not page.locator(f".forest article[data-verdict='{word}']:visible").count()
    key.click()
    assert all(one.is_visible() for one in claims.all())


def _claim_links(page) -> list[str]:
    links = page.locator(".forest article a").all()
    by_page = {Path(href).name.split("#")[0]: href for href in map(_href, links)}
    return list(by_page.values())


def _href(link) -> str:
    return link.get_attribute("href")


def _contrast(box) -> float:
    """The contrast of a claim's text against the box that it stands in."""
    script = """box => [getComputedStyle(box.querySelector('p:not(.admonition-title)')).color,
                        getComputedStyle(box).backgroundColor]"""
    text, ground = map(_luminance, box.evaluate(script))
    return (max(text, ground) + 0.05) / (min(text, ground) + 0.05)


def _luminance(colour: str) -> float:
    channels = [float(part) / 255 for part in colour.strip("rgba()").split(",")[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
