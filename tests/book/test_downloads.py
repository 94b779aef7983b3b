"""Every figure of every built page can be had as SVG, and its numbers as CSV, from the book."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from bs4 import BeautifulSoup

from companion.chapters import Book
from companion.errors import InputError
from companion.files import stored

LARGEST = 1_000_000


def _figures() -> list[tuple[str, str]]:
    """The page and the name of every figure."""
    try:
        pages = sorted(Book.here().html.glob("book/*.html"))
    except InputError:
        return []
    return [(page.stem, one["id"]) for page in pages for one in _drawn(page)]


def _drawn(page: Path) -> list:
    return BeautifulSoup(page.read_text("utf-8"), "html.parser").select("article figure[id]")


FIGURES = _figures()


def saved(built: Book, page: str, name: str, kind: str) -> Path:
    """The file of a figure that its caption leads to."""
    path = built.html / "book" / f"{page}.html"
    figure = next(one for one in _drawn(path) if one["id"] == name)
    links = [one for one in figure.select("figcaption a[download]") if one.text == kind]
    assert len(links) == 1, f"no {kind} at {name}"
    assert links[0]["aria-label"].startswith(kind)
    return (path.parent / links[0]["href"]).resolve()


def test_no_figure_is_without_a_name(built):
    for page in built.html.glob("book/*.html"):
        bare = BeautifulSoup(page.read_text("utf-8"), "html.parser").select(
            "article figure:not([id])"
        )
        assert bare == [], page.stem
    assert len(FIGURES) > 50


@pytest.mark.parametrize(("page", "name"), FIGURES)
def test_a_figure_leads_to_its_picture_and_its_numbers(built, page, name):
    picture, numbers = (saved(built, page, name, kind) for kind in ("SVG", "CSV"))
    assert "<svg" in picture.read_text("utf-8")
    table = pd.read_csv(numbers)
    assert len(table) > 0
    assert table.select_dtypes("number").notna().any(axis=None)
    assert numbers.stat().st_size <= LARGEST


def test_the_numbers_are_those_of_the_result(built):
    """Geometric means over teachers, from the stored run itself."""
    table = pd.read_csv(saved(built, "toy_entropy", "fig-toy-larger", "CSV"))
    with xr.open_dataset(stored("toy-entropy-medium.nc")) as run:
        last = run["test_loss"].isel(step=-1).sel(temperature=run["temperature"].max())
        means = np.exp(np.log(last.isel(teacher=run["rho"].values == 0)).mean(["teacher", "seed"]))
    points = table.query("panel != 'this run' and mark == 'points'")
    shown = points[points["series"].str.startswith("independent")].set_index("x")["y"]
    assert shown.to_dict() == pytest.approx(means.to_series().to_dict(), rel=1e-5)


def test_the_ledger_gives_every_measurement(built):
    ledger = json.loads((built.results / "claims.json").read_text("utf-8"))["claims"]
    table = pd.read_csv(built.html / "_downloads" / "claims.csv")
    measured = [(claim["key"], m["estimate"]) for claim in ledger for m in claim["measurements"]]
    keys, estimates = zip(*measured, strict=True)
    assert list(table["claim_key"]) == list(keys)
    assert table["estimate"].to_numpy() == pytest.approx(np.array(estimates))
    assert 'href="../_downloads/claims.csv"' in (built.html / "book" / "claims.html").read_text()
