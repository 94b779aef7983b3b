"""Verdicts, sentences and the table, on planted costs."""

import numpy as np
import pytest

from companion.evidence.disturbed import interventions as findings
from companion.interventions import Pretrained


@pytest.fixture
def generator():
    return np.random.default_rng(0)


def test_planted_claims_are_reproduced(planted_ladder, generator, as_if_calibrated):
    claims = [
        findings.skipping_costs_little(planted_ladder, generator),
        findings.swapping_costs_less(planted_ladder, generator),
        findings.neighbours_cannot_replace(planted_ladder, generator),
        findings.skip_cost_falls(planted_ladder, generator),
    ]
    assert [claim.verdict for claim in claims] == ["reproduced"] * 4
    assert len(claims[0].measurements) == 3


def test_a_planted_hierarchy_is_not_reproduced(planted_ablation, generator, as_if_calibrated):
    costs = {"skip": 1.0, "swap": 2.0, "average": 0.5}
    stages = {f"ell{ell}": planted_ablation(ell, costs) for ell in (4, 8, 16)}
    for finding in (
        findings.skipping_costs_little,
        findings.swapping_costs_less,
        findings.neighbours_cannot_replace,
        findings.skip_cost_falls,
    ):
        assert finding(stages, generator).verdict == "not reproduced"


def test_what_fails_in_calibration_is_no_test(planted_ladder, generator):
    claim = findings.neighbours_cannot_replace(planted_ladder, generator)
    assert claim.verdict == "not testable here"
    assert claim.untestable.startswith("not a test: ")


def test_too_few_depths_or_no_rise_say_why(planted_ablation, planted_ladder, generator):
    few = {name: planted_ladder[name] for name in ("ell4", "ell8")}
    claim = findings.skip_cost_falls(few, generator)
    assert claim.verdict == "not testable here"
    assert "at least 3 depths, there are 2" in claim.untestable
    flat = planted_ladder | {
        "ell8": planted_ablation(8, dict.fromkeys(("skip", "swap", "average"), -0.1))
    }
    assert "does not raise the loss of ell8" in findings.exponent_sentence(flat, generator)
    shallow = {"ell2": planted_ladder["ell2"]}
    assert findings.swapping_costs_less(shallow, generator).verdict == "not testable here"


def test_the_table_and_the_sentence_speak_of_every_model(planted_ladder, generator):
    table = findings.table(planted_ladder, generator, ("swap", "average"))
    assert list(table.index) == list(planted_ladder)
    assert {"swap / skip", "average / skip", "share"} <= set(table.columns)
    assert "In the middle of ell8" in findings.sentence("ell8", planted_ladder["ell8"], generator)


def test_a_pretrained_model_is_spoken_of_whether_or_not_it_is_there(planted_ladder):
    one = {"x": planted_ladder["ell4"]}
    both = findings.pretrained_sentence(Pretrained("x", one, {"y": planted_ladder["ell8"]}))
    assert both.startswith("x was disturbed in this run, its loss read at")
    assert "Stored runs: y (" in both
    absent = findings.pretrained_sentence(Pretrained("x", {}, {}, "model 'x' is not here"))
    assert absent == "x could not be had here: model 'x' is not here. Stored runs: none."
    assert "No pretrained model was asked for." in findings.pretrained_sentence(
        Pretrained("", {}, {})
    )


def test_a_loss_without_blocks_that_no_guess_has_is_no_unit(planted_ablation, planted_ladder):
    tied = planted_ablation(4, {"skip": 1.0}, empty=100.0)
    said = findings.unit_sentence({"tied": tied, **planted_ladder})
    assert "(103 for tied nats per token)" in said
    assert "says little" not in findings.unit_sentence(planted_ladder)
