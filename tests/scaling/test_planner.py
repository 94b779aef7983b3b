"""The planner: against brute force and scaling rules, and its page in a real browser."""

import json
import math

import numpy as np
import pytest

from companion import scaling
from companion.errors import InputError
from companion.plotting.planner import _knobs, page
from companion.scaling import planning
from companion.scaling.planning import Budget, by_depth, candidates, plan


@pytest.fixture(scope="module")
def fitted(planted):
    result = scaling.fit(planted)
    return result, scaling.bootstrap(result, np.random.default_rng(0), draws=40)


def test_the_plan_is_the_best_of_the_grid(fitted):
    result, draws = fitted
    budget = Budget(flops=1e20, parameters=3e8)
    found = plan(result, draws, budget)
    grid = candidates(budget, result.table)
    assert found.loss.estimate == pytest.approx(result.predict(grid).min())
    assert found.N <= 3e8
    assert found.flops <= 1e20 * (1 + 1e-12)


def test_more_budget_never_hurts_and_depth_always_helps_at_equal_data(fitted):
    losses = [plan(*fitted, Budget(flops=f)).loss.estimate for f in (1e18, 1e19, 1e20, 1e21)]
    assert losses == sorted(losses, reverse=True)
    assert plan(*fitted, Budget(flops=1e20)).deeper.high < 0


def test_doubling_depth_is_the_law_by_hand(fitted):
    result, _ = fitted
    found = plan(*fitted, Budget(flops=1e20))
    p = result.params
    by_hand = p["c_ell"] * ((2 * found.ell) ** -p["alpha_ell"] - found.ell ** -p["alpha_ell"])
    assert found.deeper.estimate == pytest.approx(by_hand)


def test_the_search_and_the_sliders_reach_as_far_as_the_table_and_a_little_beyond(planted):
    small = planted.assign(m=planted["m"] / 8, D=planted["D"] / 1000)
    for table in (planted, small):
        widths, depths = planning.shapes(table)
        assert (table["m"].max(), table["ell"].min()) == (widths[-1] / 4, depths[0] * 4)
        low, high = planning.reach(table)
        assert low < planning.middle_flops(table) < high
        assert low == pytest.approx((72 * table["m"] ** 2 * table["ell"] * table["D"]).min())
        knobs = _knobs(table, 1e20)
        assert knobs["flops"][0] < math.log10(low) < math.log10(high) < knobs["flops"][1]


def test_the_best_at_each_depth_has_a_band_and_its_lowest_is_the_plan(fitted):
    budget = Budget(flops=1e20)
    found = by_depth(*fitted, budget)
    best = plan(*fitted, budget)
    assert found["ell"][found["loss"].argmin()] == best.ell
    assert found["loss"].min() == pytest.approx(best.loss.estimate)
    assert (found["low"] < found["high"]).all()
    assert found["low"][found["loss"].argmin()] == pytest.approx(best.loss.low)


def test_latency_makes_shallow_and_extrapolation_is_told(fitted):
    free, fast = (plan(*fitted, Budget(flops=1e21, latency=s)) for s in (math.inf, 1e-4))
    assert fast.ell < free.ell
    assert any("extrapolation" in w for w in plan(*fitted, Budget(flops=1e24)).warnings)


def test_at_a_best_shape_depth_buys_as_much_as_data(fitted):
    """Why a plan cannot call depth inefficient: equal gains per operation, up to the grid."""
    result, _ = fitted
    found = plan(*fitted, Budget(flops=1e20))
    p = result.params
    gains = [p[f"c_{v}"] * p[f"alpha_{v}"] * getattr(found, v) ** -p[f"alpha_{v}"]
             for v in ("m", "ell", "D")]  # fmt: skip
    assert gains[1] == pytest.approx(gains[2], rel=0.25)
    assert gains[0] / 2 == pytest.approx(gains[2], rel=0.25)


@pytest.mark.parametrize(
    ("budget", "word"),
    [
        ({}, "flops or tokens"),
        ({"tokens": 1e9}, "flops, parameters or latency"),
        ({"flops": -1}, "flops -1 must be above 0"),
    ],
)
def test_bad_budgets_are_refused(budget, word):
    with pytest.raises(InputError, match=word):
        Budget(**budget)


def test_an_impossible_budget_is_refused(fitted):
    with pytest.raises(InputError, match="no shape"):
        plan(*fitted, Budget(flops=1e20, parameters=10))


@pytest.mark.slow
def test_the_page_works_offline_and_agrees_with_python(fitted, tmp_path, browser):
    path = tmp_path / "planner.html"
    html = page(*fitted, flops=1e20, name="plan").html
    path.write_text(f"<!doctype html><meta charset='utf-8'><body>{html}</body>", "utf-8")
    seen, asked = [], []
    tab = browser.new_page()
    tab.on("console", lambda message: seen.append(message.text))
    tab.on("pageerror", lambda error: seen.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(path.as_uri())
    first = _read(tab)
    tab.locator("#plan-parameters").evaluate(
        "s => { s.value = 8; s.dispatchEvent(new Event('input')); }"
    )
    second, drawn = _read(tab), tab.locator("#plan svg path").count()
    tab.locator("#plan-flops").focus()
    tab.keyboard.press("ArrowRight")
    third = _read(tab)
    tab.close()
    assert seen == []
    assert all(url.startswith("file:") for url in asked)
    assert drawn == 2
    _agrees(first, plan(*fitted, Budget(flops=1e20, parameters=1e12, latency=1.0)))
    _agrees(second, plan(*fitted, Budget(flops=1e20, parameters=1e8, latency=1.0)))
    assert third["D"] > second["D"]


def _read(tab) -> dict[str, float]:
    rows = "rows => JSON.stringify(rows.map(r => [r.dataset.key, Number(r.dataset.value)]))"
    return dict(json.loads(tab.locator("#plan tbody tr").evaluate_all(rows)))


def _agrees(shown: dict[str, float], planned) -> None:
    for key, value in planned.to_dict().items():
        if key in shown:
            assert shown[key] == pytest.approx(value, rel=1e-9), key
