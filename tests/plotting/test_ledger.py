"""The ledger's forest plot: places on a strip, what is drawn, how it is grouped."""

from __future__ import annotations

import html
import math
import re
from dataclasses import replace

import pytest

from companion.evidence import Measurement, judge
from companion.evidence.chips import SHAPES
from companion.evidence.judging import row_record, rows
from companion.plotting import ledger, theme
from companion.plotting.ledger import HEIGHT, WIDTH, Strip


def measured(estimate=1.0, low=0.9, high=1.1, expected=(0.8, 1.25), **more):
    one = {"name": "exponent", "estimate": estimate, "low": low, "high": high, "unit": ""}
    one |= {"expected_low": expected[0], "expected_high": expected[1], "level": 0.95}
    one |= {
        "chapter": "probing",
        "verdict": "reproduced",
        "decides": True,
        "run": "live",
        "spread": False,
    }
    return one | more


def claim(key="one", whose="paper", question="Which?", verdict="reproduced", **more):
    told = {"key": key, "whose": whose, "question": question, "verdict": verdict, "why": "one run"}
    told |= {"untestable": "", "estimand": "a slope", "scope": {"model": "m"}}
    told |= {"statement": f"statement of {key}", "source": "figure 1"}
    told |= {"chapter": "probing", "anchor": f"claim-{key}"}
    return told | {"measurements": [measured()]} | more


@pytest.mark.parametrize(("low", "high"), [(0.8, 1.25), (-2.0, 5.0), (1e-6, 2e-6)])
def test_an_expected_range_fills_the_middle_third_whatever_its_unit(low, high):
    strip = Strip.of(low, high, [low - 10, high + 10])
    assert strip.place(low) == pytest.approx(WIDTH / 3)
    assert strip.place(high) == pytest.approx(2 * WIDTH / 3)
    assert strip.place((low + high) / 2) == pytest.approx(WIDTH / 2)
    assert not strip.holds(high + 2 * (high - low))


def test_one_bound_stands_in_the_middle_and_all_values_on_the_strip():
    strip = Strip.of(0.5, math.inf, [0.1, 0.7, 2.5])
    assert strip.place(0.5) == WIDTH / 2
    assert strip.place(math.inf) == WIDTH
    assert all(map(strip.holds, (0.1, 0.7, 2.5)))
    assert strip.place(2.5) < WIDTH


def test_an_interval_beyond_the_strip_ends_in_an_arrow():
    inside, beyond = ledger.strip(measured()), ledger.strip(measured(high=40.0))
    assert "L" not in re.search(r'<path d="(M[^"]*H[^"]*v8[^"]*)"', inside)[1]
    assert f"L{WIDTH:.1f} {HEIGHT / 2}" in beyond


def test_unbounded_intervals_and_equal_bounds_are_drawn():
    ledger.strip(measured(low=None, high=None))
    assert "nan" not in ledger.strip(measured(expected=(1.0, 1.0)))
    assert "expected anything" in ledger.forest(
        [claim(measurements=[measured(expected=(None, None))])]
    )


def test_claims_stand_by_owner_and_question_each_with_word_shape_and_class():
    drawn = ledger.forest(
        [claim("a"), claim("b", question="Why?"), claim("c", "ours", verdict="not testable here")]
    )
    titles = re.findall(r"<h[23]>(.+?)</h[23]>", drawn)
    assert titles == [ledger.OWNERS["paper"], "Which?", "Why?", ledger.OWNERS["ours"], "Which?"]
    assert drawn.count('data-verdict="reproduced"') == 3  # two claims and a key
    assert SHAPES["not testable here"] in drawn
    assert "1 not testable here" in drawn
    assert "<h2>" not in ledger.forest([])


def test_a_measurement_leads_to_its_run_and_may_be_no_evidence():
    beside = measured(run="stored", decides=False, verdict="no evidence")
    drawn = ledger.forest([claim(measurements=[measured(), beside])])
    assert 'href="probing.html#claim-one"' in drawn
    assert 'href="probing.html#claim-one-stored"' in drawn
    assert "(stored, beside)" in drawn


def test_of_many_measurements_what_decides_and_what_contradicts_is_seen_first():
    many = [measured(name=f"{i}", decides=i < 4) for i in range(6)]
    many[3] |= {"verdict": "not reproduced"}
    drawn = ledger.forest([claim(measurements=many)])
    assert re.findall(r'one">(\d)</a>', drawn) == list("301245")
    assert drawn.index("<summary>How, +4</summary>") > drawn.index(">0</a>")


def test_text_from_claims_is_escaped():
    assert "<b>" not in ledger.forest([claim(statement="<b>", why="<b>", source="<b>")])


def test_a_row_of_the_real_ledger_says_all_there_is_to_a_claim():
    excess = Measurement("excess", -0.9, -1.1, -0.7, unit="1")
    judged = judge("additivity", [excess], {"table": "chinchilla"}, data="chinchilla")
    record = row_record(*next(iter(rows([replace(judged, chapter="scaling_fit")]))))
    drawn = ledger.forest([record])
    assert html.escape(judged.statement) in drawn
    assert "<strong>-0.9</strong> 1, 95 % interval [-1.1, -0.7], expected at most 0.05" in drawn
    assert "Measured: mean squared error on held-out shapes" in drawn
    assert "On table: chinchilla. Decided by: one run." in drawn
    assert 'href="scaling_fit.html#claim-additivity"' in drawn


def test_exponents_stand_beside_the_band_with_ends_that_are_there(ax):
    found = {"estimate": 0.5, "low": None, "high": 0.75}
    ledger.exponents({"one": (found, "undecided"), "two": (None, "open")}, (0.75, 1.25), 3, ax)
    table = theme.table(ax.figure).set_index("series")
    assert table.loc["one", ["x", "x_low", "x_high"]].tolist() == [0.5, 0.0, 0.75]
    assert table.loc["about one", ["x_low", "x_high"]].tolist() == [0.75, 1.25]
    assert "two" not in table.index
    assert [t.get_text() for t in ax.get_yticklabels()] == ["one\n0.50 [−∞, 0.75]", "two\nopen"]
