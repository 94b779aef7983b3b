"""The lecture opens offline, goes both ways, has a note on each slide, and types no number."""

from __future__ import annotations

import importlib
import json
import re
import sys

import pytest
from bs4 import BeautifulSoup

from companion.errors import InputError
from companion.files import checkout

ROOT = checkout()
assert ROOT is not None
SOURCE = (ROOT / "book" / "slides" / "lecture.md").read_text("utf-8")
TEACH = (ROOT / "book" / "teach.md").read_text("utf-8")
COLUMNS = [re.split(r"(?m)^--$", column) for column in re.split(r"(?m)^---$", SOURCE)]
READY = "Reveal.isReady() && document.querySelector('.present img, .present h1, .present h2')"


@pytest.fixture
def slides(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    before = set(sys.modules)
    yield importlib.import_module("slides")
    for name in {"slides", "front", "downloads"} - before:
        sys.modules.pop(name, None)


@pytest.fixture
def opened(browser, address):
    """The deck in a browser, and what it asked for elsewhere or complained about."""
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    page, wrong = context.new_page(), []
    page.on("request", lambda one: one.url.startswith(address) or wrong.append(one.url))
    page.on("requestfailed", lambda one: wrong.append(one.url))
    page.on("console", lambda said: said.type == "error" and wrong.append(said.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(f"{address}/slides/index.html", wait_until="networkidle")
    page.wait_for_function(READY)
    yield page, wrong
    context.close()


def shown(name: str, path: str) -> set[str]:
    """The labels of one kind that a text refers to."""
    return set(re.findall(name, path))


def test_slides_know_what_to_put_in(slides):
    source = "# One\n\n{{ claim key }} $x_1$\n\nNote: say\n\n---\n\n## Two\n\nNote: it\n"
    told = slides.deck(source, lambda word, name: f"<b>{word}:{name}</b>")
    assert told.count("<section><section>") == 2
    assert "<p><b>claim:key</b>" in told
    assert r"\(x_1\)" in told
    assert '<aside class="notes"><p>say</p>' in told


def test_a_slide_without_a_note_or_with_an_unknown_word_is_refused(slides):
    with pytest.raises(InputError, match="no note for its speaker: # One"):
        slides.deck("# One\n\nwords\n", str)
    found = slides.Found.__new__(slides.Found)
    with pytest.raises(InputError, match="'put_in': use one of hero"):
        found.put_in("put_in", "x")


def test_the_paths_are_those_of_the_page_on_teaching():
    short, long = TEACH.split("## In 90 minutes")
    long = long.split("## ")[0]
    across = "".join(column[0] for column in COLUMNS)
    asked = r"\{numref\}`(fig-[\w-]+)`"
    assert shown(asked, short) == shown(r"\{\{ figure (fig-[\w-]+)", across)
    assert shown(asked, long) <= shown(r"\{\{ figure (fig-[\w-]+)", SOURCE)
    assert shown(r"\{ref\}`(ex-[\w-]+)`", long) == shown(r"\{\{ exercise (ex-[\w-]+)", SOURCE)


def test_no_slide_types_a_number():
    """Formulas, commands and names apart, digits come from results; notes may give minutes."""
    bare = re.sub(
        r"\$\$.*?\$\$|\$[^$]*\$|```.*?```|\{\{.*?\}\}|\]\(.*?\)", "", SOURCE, flags=re.DOTALL
    )
    for slide in re.split(r"(?m)^---?$", bare):
        words, _, notes = slide.partition("\nNote:")
        assert re.findall(r"\d", words) == []
        assert re.findall(r"\d+", re.sub(r"\d+ minutes", "", notes)) == []


def test_numbers_and_figures_are_those_of_this_build(built):
    deck = BeautifulSoup((built.html / "slides" / "index.html").read_text("utf-8"), "html.parser")
    ledger = json.loads((built.results / "claims.json").read_text("utf-8"))["claims"]
    rows = {row["key"]: row for row in ledger}
    text = re.sub(r"\s+", " ", deck.get_text())
    for key in shown(r"\{\{ claim ([\w-]+)", SOURCE):
        found = next((m for m in rows[key]["measurements"] if m["decides"]), None)
        assert found is None or f"{found['estimate']:.2f} [" in text
        assert rows[key]["verdict"] in text
    for image in deck.select("img"):
        assert (built.html / "slides" / image["src"]).resolve().exists()
        assert len(image["alt"]) > 20
    for link in deck.select("section a[href]"):
        page, _, place = link["href"].partition("#")
        target = (built.html / "slides" / page).resolve()
        assert target.exists()
        assert not place or f'id="{place}"' in target.read_text("utf-8")


@pytest.mark.slow
def test_the_deck_opens_alone_and_arrows_go_right_and_down(opened):
    page, wrong = opened
    where = "(() => { const {h, v} = Reveal.getIndices(); return [h, v]; })()"
    assert page.evaluate(where) == [0, 0]
    page.keyboard.press("ArrowRight")
    assert page.evaluate(where) == [1, 0]
    page.keyboard.press("ArrowDown")
    assert page.evaluate(where) == [1, 1]
    page.wait_for_selector(".present mjx-container", state="attached")
    assert wrong == []


@pytest.mark.slow
def test_the_speaker_sees_the_note(opened):
    page, wrong = opened
    with page.expect_popup() as window:
        page.keyboard.press("s")
    seen = window.value.locator(".speaker-controls-notes .value")
    seen.filter(has_text="Ask for a prediction").wait_for()
    assert wrong == []


@pytest.mark.slow
def test_every_slide_has_a_note_and_fits_the_screen(opened):
    page, wrong = opened
    height = page.evaluate("Reveal.getConfig().height")
    for h, column in enumerate(COLUMNS):
        for v in range(len(column)):
            page.evaluate(f"Reveal.slide({h}, {v})")
            assert len(page.evaluate("Reveal.getSlideNotes()")) > 20
            page.wait_for_function(
                "[...document.querySelectorAll('section.present img')].every(one => one.complete)"
            )
            assert page.evaluate("Reveal.getCurrentSlide().scrollHeight") <= height, (h, v)
    assert wrong == []
