"""Demonstrations in a real browser: offline, by keyboard, with Python's numbers."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from companion import geometry, scaling, tables
from companion.errors import InputError
from companion.plotting import demos
from companion.plotting.demos import means
from companion.plotting.demos.page import page
from companion.scaling.uncertainty.profile import with_profile
from companion.toy.analysis import over_replicates, power_law

pytestmark = pytest.mark.slow


def generator():
    return np.random.default_rng(0)


@pytest.fixture
def shown(browser, tmp_path):
    """Opens a demonstration; what it logs or asks for beyond its file fails the test."""
    tabs, seen = [], []

    def show(made, width=1280):
        path = tmp_path / "page.html"
        path.write_text(f"<!doctype html><meta charset='utf-8'><body>{made.html}</body>", "utf-8")
        tab = browser.new_page(viewport={"width": width, "height": 800})
        tab.on("console", lambda message: seen.append(message.text))
        tab.on("pageerror", lambda error: seen.append(str(error)))
        tab.on("request", lambda r: None if r.url.startswith("file:") else seen.append(r.url))
        tab.goto(path.as_uri())
        tabs.append(tab)
        return tab

    yield show
    for tab in tabs:
        tab.close()
    assert seen == []


def numbers(tab, name):
    return tab.locator(f"#demo-{name}").evaluate("one => ({...one.dataset})")


def put(tab, control, value):
    said = "(one, v) => { one.value = v; one.dispatchEvent(new Event('input')); }"
    tab.locator(control).evaluate(said, value)


@pytest.mark.parametrize(("rho", "place"), [(0.0, 7), (0.25, 3), (1.0, 5)])
def test_averaging_has_the_formula_and_the_drawn_samples(shown, rho, place):
    tab = shown(demos.averaging(generator()))
    put(tab, "#demo-averaging-rho", rho)
    put(tab, "#demo-averaging-count", place)
    count, parts = means.COUNTS[place], means.moments(generator())[place]
    found = numbers(tab, "averaging")
    assert float(found["expected"]) == pytest.approx(means.expected(rho, count))
    assert float(found["drawn"]) == pytest.approx(means.drawn(rho, parts))


@pytest.mark.parametrize("rho", [0.0, 0.3, 1.0])
def test_drawn_errors_are_those_of_correlated_layers(rho):
    """Moments against the samples themselves, and samples against the formula."""
    draws = generator()
    g = draws.normal(size=means.SAMPLES)
    z = draws.normal(size=(means.SAMPLES, means.COUNTS[-1]))
    errors = rho**0.5 * g[:, None] + (1 - rho) ** 0.5 * z
    for count, parts in zip(means.COUNTS, means.moments(generator()), strict=True):
        brute = np.mean(errors[:, :count].mean(1) ** 2)
        assert means.drawn(rho, parts) == pytest.approx(brute)
        assert brute == pytest.approx(means.expected(rho, count), rel=0.15)


def test_paths_have_the_angles_and_cosines_of_the_package_and_move_by_key(shown):
    tab = shown(demos.paths(generator()))
    before = numbers(tab, "paths")["points"]
    tab.locator("#demo-paths circle").nth(3).focus()
    tab.keyboard.press("ArrowUp")
    tab.keyboard.press("ArrowLeft")
    found = numbers(tab, "paths")
    points = torch.tensor(json.loads(found["points"]), dtype=torch.float64)
    moved = points - torch.tensor(json.loads(before), dtype=torch.float64)
    assert moved[3].tolist() == pytest.approx([-0.05, 0.05])
    assert moved.abs().sum() == pytest.approx(0.1)
    turns = [float(x) for x in found["turns"].split()]
    np.testing.assert_allclose(turns, geometry.angle(points[1:], points[:-1]), atol=1e-9)
    updates = points.diff(dim=0)
    cosine = torch.cosine_similarity(updates[1:], updates[:-1], dim=-1).mean()
    assert float(found["cosine"]) == pytest.approx(float(cosine))


def test_a_point_of_a_path_can_be_dragged(shown):
    tab = shown(demos.paths(generator()))
    dot = tab.locator("#demo-paths circle").nth(2).bounding_box()
    tab.mouse.move(dot["x"] + dot["width"] / 2, dot["y"] + dot["height"] / 2)
    tab.mouse.down()
    tab.mouse.move(dot["x"] + 60, dot["y"] + 40, steps=4)
    tab.mouse.up()
    after = tab.locator("#demo-paths circle").nth(2).bounding_box()
    assert after["x"] + after["width"] / 2 == pytest.approx(dot["x"] + 60, abs=2)


@pytest.fixture
def runs():
    """Two toy runs of two teachers of each rho, losses falling by powers of depth."""
    depths, rho = np.array([2, 4, 8, 16]), np.array([0.0, 0.0, 1.0, 1.0])
    made = []
    for steps, alpha in ((100, 0.5), (200, 1.0)):
        loss = (
            np.array([0.02, 0.03, 0.05, 0.04])[:, None] * depths ** -(alpha + rho[:, None]) + 1e-3
        )
        dims = ("teacher", "temperature", "seed", "depth", "step")
        coords = {"rho": ("teacher", rho), "temperature": [1.0], "depth": depths, "step": [steps]}
        data = {"test_loss": (dims, loss[:, None, None, :, None])}
        data["diverged"] = (dims[:-1], np.zeros((4, 1, 1, 4), bool))
        made.append(xr.Dataset(data, coords))
    return made


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_the_explorer_fits_what_the_package_fits(shown, runs, share):
    tab = shown(demos.explorer(runs[::-1]))
    put(tab, "#demo-explorer-teacher", "1")
    put(tab, "#demo-explorer-training", "0")
    put(tab, "#demo-explorer-from", "4")
    put(tab, "#demo-explorer-floor", share)
    rows = runs[0]["test_loss"].isel(teacher=[2, 3], temperature=0, seed=0, step=0).values
    ell = runs[0]["depth"].values
    alphas = [power_law(ell[1:], (row - share * row.min())[1:]) for row in rows]
    assert float(numbers(tab, "explorer")["exponent"]) == pytest.approx(
        over_replicates(np.array(alphas)).estimate
    )


def test_profiles_show_the_interval_of_the_fit_to_the_rows_that_are_left(shown, planted):
    tab = shown(demos.profiles(planted, [0, 10]))
    whole = numbers(tab, "profiles")
    tab.locator("#demo-profiles-drop").focus()
    tab.keyboard.press("ArrowRight")
    cut = numbers(tab, "profiles")
    for drop, found in ((0, whole), (10, cut)):
        result = scaling.fit(tables.drop_highest(planted, drop))
        interval = with_profile(result, ("alpha_ell",)).intervals["profile"]["alpha_ell"]
        assert float(found["estimate"]) == pytest.approx(result.params["alpha_ell"])
        assert float(found["low"]) == pytest.approx(interval.low)
        assert float(found["high"]) == pytest.approx(interval.high)


def test_a_table_without_a_depth_exponent_has_no_profile():
    rows = {"m": [32, 64, 128], "ell": [4, 4, 4], "D": [1e6] * 3, "loss": [3.0, 2.9, 2.8]}
    with pytest.raises(InputError, match="no profile"):
        demos.profiles(pd.DataFrame(rows), [0])


@pytest.mark.parametrize("width", [375, 1280])
def test_nothing_is_wider_than_a_phone_and_every_control_has_a_label(shown, width, runs):
    for made in (demos.averaging(generator()), demos.paths(generator()), demos.explorer(runs)):
        tab = shown(made, width)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        unnamed = "all => all.filter(one => !one.labels.length).length"
        assert tab.locator("input, select").evaluate_all(unnamed) == 0


def test_numbers_that_are_none_become_null():
    assert '"a": [1, null]' in page("averaging", "x", {"a": [1, math.nan]}).html
