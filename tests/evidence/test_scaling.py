"""What fits say: verdicts follow from the rows that they are about, sentences from the data."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from companion import scaling, tables
from companion.evidence import scaling as evidence
from companion.scaling.comparison import criteria, cuts
from companion.scaling.comparison.effective import effective_exponents
from companion.scaling.planning import Budget, plan
from companion.scaling.publications import adam, refits
from companion.statistics.intervals import Interval

from ..conftest import TRUTH


def named(table, name):
    """The table as if it were the one of that name."""
    table = table.copy()
    table.attrs["name"] = name
    return table


@pytest.fixture(scope="module")
def result(planted):
    fit = scaling.fit(named(planted, "chinchilla"))
    generator = np.random.default_rng(0)
    return scaling.quantify(fit, generator, methods=["bootstrap_shape"], draws=100)


@pytest.fixture(scope="module")
def steep(planted, result):
    """The same rows and noise with an exponent of 2."""
    loss = scaling.LAWS["additive"].predict(TRUTH | {"alpha_ell": 2.0, "c_ell": 20.0}, planted)
    table = named(planted.assign(loss=loss * np.exp(result.residuals)), "chinchilla")
    generator = np.random.default_rng(0)
    return scaling.quantify(scaling.fit(table), generator, methods=["bootstrap_shape"], draws=100)


def test_the_depth_exponent_is_judged_by_its_interval(result, steep):
    assert evidence.inverse_depth(result).verdict == "reproduced"
    assert evidence.inverse_depth(steep).verdict == "not reproduced"
    spans = steep.intervals | {"other": {"alpha_ell": Interval(1, 0.5, 1.5)}}
    told = evidence.intervals_sentence(replace(steep, intervals=spans))
    assert told.startswith("1 of 3 methods")
    assert "leave 0.50 to" in told


def test_a_claim_about_a_table_is_not_testable_on_another(result):
    elsewhere = replace(result, table_name="ladder")
    claim = evidence.inverse_depth(elsewhere, stored=refits.stored_refit("additive"))
    assert claim.verdict == "not testable here"
    assert "about the chinchilla table" in claim.untestable
    assert "203 rows of chinchilla, stored on 20" in claim.untestable
    own = evidence.inverse_depth(elsewhere, key="depth-exponent-ladder")
    assert own.verdict == "reproduced"
    held_out = {"width-depth": Interval(0.0, -0.01, 0.01)}
    assert evidence.additivity(result, held_out).verdict == "reproduced"
    mine = replace(result, table_name="mine")
    assert evidence.additivity(mine, held_out).verdict == "not testable here"
    assert evidence.additivity(elsewhere, held_out).verdict == "not testable here"
    assert evidence.additivity(elsewhere, held_out, "additivity-ladder").verdict == "reproduced"
    spans = {"estimate": [0.9, 1.1], "low": [0.8, 1.0], "high": [1.0, 1.2]}
    frame = pd.DataFrame({"dropped": [0, 9]} | spans)
    assert evidence.robust_depth(frame, "chinchilla").verdict == "reproduced"
    assert evidence.robust_depth(frame, "ladder").verdict == "not testable here"
    drifts = frame.assign(estimate=[0.9, 1.9], low=[0.8, 1.3], high=[1.0, 2.3])
    assert evidence.robust_depth(drifts, "chinchilla").verdict == "not reproduced"
    vague = drifts.assign(low=[0.8, 1.1])
    assert evidence.robust_depth(vague, "chinchilla").verdict == "undecided"
    assert evidence.second_table(result).verdict == "not testable here"
    gems = replace(result, table_name="gemstones")
    assert evidence.second_table(gems).verdict == "reproduced"
    assert evidence.additivity(gems, held_out, "additivity-gemstones").verdict == "reproduced"


def test_the_published_optimum_is_judged_on_its_own_rows_only():
    refit = refits.stored_refit("additive")
    claim = evidence.published_optimum(refit)
    assert claim.verdict == "not testable here"
    assert "1.04 % above" in claim.untestable
    assert evidence.published_optimum(replace(refit, stored="")).verdict == "not reproduced"
    equal = replace(refit, stored="", published_objective=refit.summary.objective)
    assert evidence.published_optimum(equal).verdict == "reproduced"


def test_additivity_needs_a_law_with_an_interaction(planted, result):
    others = [scaling.fit(planted, "depth-data")]
    held_out = criteria.held_out_differences(result, others)
    assert evidence.additivity(result, held_out).verdict in ("reproduced", "undecided")
    assert evidence.additivity(result, {"x": Interval(1, 0.5, 2)}).verdict == "not reproduced"
    assert evidence.additivity(result, {}).verdict == "not testable here"


@pytest.mark.parametrize(
    ("r", "told"),
    [
        (0.92, "wide models are deep"),
        (0.5, "tend to be deep"),
        (-0.04, "nearly independently"),
        (-0.5, "tend to be shallow"),
        (-0.92, "wide models are shallow"),
    ],
)
def test_prose_on_the_design_follows_the_correlation(r, told):
    assert told in evidence.design_sentence(r)
    assert f"{r:.2f}" in evidence.design_sentence(r)
    inflated = evidence.inflation_sentence({"correlation": r, "inflation": 2.0})
    assert ("rise together" in inflated) == (r > 0.3)


def test_prose_on_the_rows_says_what_stands_in(planted):
    own = tables.load_table(planted)
    assert evidence.rows_sentence(own) == "The table of this run: the table given, 48 rows."
    stand_in = named(planted, "ladder")
    stand_in.attrs |= {
        "stands_in_for": "chinchilla",
        "absent": "no file in /some/place",
        "left_out": 3,
    }
    told = evidence.rows_sentence(stand_in)
    assert "in place of chinchilla, which is not on this machine" in told
    assert "/some/place" not in told
    assert "3 rows that the law cannot take left out" in told


def test_prose_on_the_spread_and_the_cuts_has_two_sides():
    narrow, wide = np.linspace(1, 1.1, 50), np.linspace(0, 2, 50)
    assert evidence.scatter_sentence(wide, narrow).endswith(": narrower.")
    assert evidence.scatter_sentence(narrow, wide).endswith(": no narrower.")
    frame = pd.DataFrame({"estimate": [1.0, 2.0], "low": [0.5, 1.5], "high": [1.5, 2.5]})
    told = evidence.cuts_sentence(frame.assign(refused=["", ""]))
    assert "between 1.00 and 2.00, and at 1 of 2 cuts the interval excludes 1." in told
    assert "1 cuts leave too little" in evidence.cuts_sentence(frame.assign(refused=["", "few"]))


def test_the_certificate_and_the_warnings_are_told(planted, result):
    assert "certified" in evidence.convergence_sentence(result)
    held = scaling.fit(planted, fixed={"alpha_ell": 1.0})
    assert "On a bound: alpha_ell fixed at 1." in evidence.convergence_sentence(held)
    lost = replace(result, certificate=replace(result.certificate, curvature=-1.0))
    assert "did not converge: the Hessian" in evidence.convergence_sentence(lost)
    assert evidence.warnings_sentence(replace(result, warnings=("a", "b"))).endswith("fit: a; b.")


def test_held_out_runs_are_told_with_their_numbers(planted):
    frame = adam.adam_held_out(planted, np.random.default_rng(0), splits=4, steps=100)
    told = evidence.held_out_sentence(frame)
    assert "4 random splits" in told
    assert f"from {frame['alpha_stopped'].min():.3f} to" in told


def test_reproductions_are_told_with_their_reasons():
    """From the published tables or, without them, from the stored fits: the same numbers."""
    frame = refits.reproductions()
    told = evidence.reproduction_sentence(frame)
    assert "_" not in told
    assert "Epoch AI: coefficient of N, exponent of N, " in told
    assert "exponent of D, floor differ by up to 2.8 %" in told
    assert "lies 0.047 % above our optimum" in told
    assert told.count("flat that way") == 2
    worse = frame.assign(**{"difference %": 1.0, "digits": False})
    assert "our fit is the worse one" in evidence.reproduction_sentence(worse)
    frame.attrs["stored"] = {"Epoch AI": "2026-11-25T10:00:00"}
    assert "stored on 2026-11-25" in evidence.reproduction_sentence(frame)


def test_the_preferred_law_is_named(planted):
    frame = criteria.compare_laws(planted, ["additive", "chinchilla"])
    assert "AIC favours additive" in evidence.preference_sentence(frame)
    assert "all 2 laws" in evidence.laws_sentence(["a", "b"], [])
    assert evidence.laws_sentence(["a"], ["b needs N"]).endswith("identify them: b needs N.")


def test_coverage_is_judged_by_the_simulations_own_interval():
    columns = ["case", "parameter", "method", "coverage", "low", "high"]
    rows = [("one", "a", "jacobian", 0.9, 0.87, 0.93), ("one", "a", "profile", 0.94, 0.91, 0.96),
            ("two", "a", "profile", 0.99, 0.97, 1.0)]  # fmt: skip
    told = evidence.coverage_sentence(pd.DataFrame(rows, columns=columns), "a")
    assert "With one, too few contain the truth: jacobian (90.0%); as many as promised: p" in told
    assert "With two, too many: profile (99.0%)." in told


def test_the_stored_coverage_study_is_shown_or_said_to_be_missing():
    frame, told = evidence.coverage_study()
    assert len(frame)
    assert "planted tables a case" in told
    missing, told = evidence.coverage_study("nowhere.json")
    assert missing.empty
    assert "not been run yet" in told
    assert "Not studied" in evidence.coverage_sentence(missing, "alpha_ell")


def test_subsets_say_which_contradict():
    frame = pd.DataFrame(
        {"rows": ["a", "b", "c", "d"], "low": [0.9, 0.1, 0.5, math.nan]}
        | {"high": [1.1, 0.2, 1.5, math.nan]}
    )
    told = evidence.subsets_sentence(frame)
    assert told == (
        "An exponent of 0.75 to 1.25 is supported with a; contradicted with b; undecided with c; "
        "not testable with d."
    )


def test_usual_shapes_are_told_from_their_line_of_the_sweep(planted):
    table = named(planted, "gemstones")
    generator = np.random.default_rng(0)
    frame = cuts.aspect_sweep(table, "additive", generator, factors=(1.0, 50.0), draws=20)
    assert f"{frame['estimate'][1]:.2f}" in evidence.usual_shapes_sentence(frame, 50)
    few = named(planted[planted["m"] / planted["ell"] > 100], "gemstones")
    frame = cuts.aspect_sweep(few, "additive", generator, factors=(1.0,), draws=20)
    assert "Too few ordinary shapes" in evidence.usual_shapes_sentence(frame, 1.0)


def test_gemstones_contradict_an_exponent_of_one(gemstones):
    generator = np.random.default_rng(0)
    frame = cuts.aspect_sweep(gemstones, "additive", generator, factors=(3.0,), draws=40)
    assert frame["converged"].all()
    assert "contradicted with factor 3, all shapes" in evidence.subsets_sentence(frame)
    assert "checkpoints of 22 training runs" in evidence.clusters_sentence(gemstones)


def test_rows_without_runs_are_told_by_their_shapes(planted):
    assert "48 rows are of 16 shapes" in evidence.clusters_sentence(planted)


def test_a_plan_cannot_call_depth_inefficient(result):
    draws = scaling.bootstrap(result, np.random.default_rng(0), draws=40)
    best = plan(result, draws, Budget(flops=1e20))
    told = evidence.efficiency_sentence(result, best)
    assert f"{best.deeper:.4f}" in told
    assert "no plan can call depth inefficient" in told
    assert evidence.plan_row(best)["N"] == f"{best.N:.3g}"
    assert evidence.shape_sentence(best).startswith("The best loss is better known")
    vague = replace(best, loss=Interval(3, 0.1, 30))
    assert evidence.shape_sentence(vague).startswith("The best depth is better known")


def test_the_claim_through_training_needs_both_ends():
    stages = pd.DataFrame(
        {"estimate": [1.0, 1.0], "low": [0.9, 0.9], "high": [1.1, 1.1]}, index=[1e6, 2e6]
    )
    assert evidence.inverse_throughout(stages, {}).verdict == "reproduced"
    slow = stages.assign(estimate=[0.3, 1.0], low=[0.2, 0.9], high=[0.4, 1.1])
    assert evidence.inverse_throughout(slow, {}).verdict == "not reproduced"
    stages.iloc[0] = np.nan
    assert evidence.inverse_throughout(stages, {}).verdict == "not testable here"
    rows = [
        {"m": 64, "seed": seed, "D": D, "ell": ell, "loss": 4 + 0.5 / ell + 1e-4 * seed * ell}
        for seed in range(4) for D in (1e6, 2e6) for ell in (2, 4, 8, 16)
    ]  # fmt: skip
    measured = evidence.inverse_throughout(effective_exponents(pd.DataFrame(rows)), {})
    assert len(measured.measurements) == 2
