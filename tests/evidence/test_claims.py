"""Verdicts follow from intervals and rules, and a claim survives its way to disk and back."""

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.evidence import judge, stored
from companion.evidence.claims import (
    CLAIM_MIME,
    NO_EVIDENCE,
    NOT_REPRODUCED,
    NOT_TESTABLE,
    PARTLY,
    REPRODUCED,
    UNDECIDED,
    Claim,
    Measurement,
    box,
    combined,
)
from companion.evidence.judging import beside_untrained, rows

finite = st.floats(-1e6, 1e6)


def measured(low, high, part="", **more):
    return Measurement("x", (low + high) / 2, low, high, part, **more)


INSIDE, OUTSIDE, ASTRIDE = (0.9, 1.1), (2.0, 4.0), (1.0, 2.0)


def ranged(*spans, part=""):
    return [replace(measured(*s, part=part), expected_low=0.5, expected_high=1.5) for s in spans]


@pytest.mark.parametrize(
    ("spans", "every", "either"),
    [
        ([INSIDE], REPRODUCED, REPRODUCED),
        ([OUTSIDE], NOT_REPRODUCED, NOT_REPRODUCED),
        ([ASTRIDE], UNDECIDED, UNDECIDED),
        ([INSIDE, OUTSIDE], NOT_REPRODUCED, REPRODUCED),
        ([INSIDE, OUTSIDE, ASTRIDE], NOT_REPRODUCED, REPRODUCED),
        ([INSIDE, ASTRIDE], UNDECIDED, REPRODUCED),
        ([OUTSIDE, ASTRIDE], NOT_REPRODUCED, UNDECIDED),
    ],
)
def test_universal_claims_fall_by_one_part_and_others_stand_by_one(spans, every, either):
    assert combined(ranged(*spans)) == every
    assert combined(ranged(*spans), "any") == either


def test_parts_that_are_statements_of_their_own_may_hold_in_part():
    def each(a, b):
        return combined([*ranged(a, part="a"), *ranged(b, part="b")], "each")

    assert each(INSIDE, OUTSIDE) == PARTLY
    assert each(INSIDE, INSIDE) == REPRODUCED
    assert each(OUTSIDE, ASTRIDE) == NOT_REPRODUCED
    assert each(INSIDE, ASTRIDE) == UNDECIDED
    assert combined(ranged(INSIDE, OUTSIDE, part="a"), "each") == NOT_REPRODUCED


@given(finite, finite, finite, finite)
def test_verdict_agrees_with_set_relations(a, b, c, d):
    (low, high), (expected_low, expected_high) = sorted([a, b]), sorted([c, d])
    one = Measurement("x", low, low, high, expected_low=expected_low, expected_high=expected_high)
    contained = expected_low <= low and high <= expected_high
    disjoint = high < expected_low or expected_high < low
    expected = REPRODUCED if contained else NOT_REPRODUCED if disjoint else UNDECIDED
    assert one.verdict == expected


def test_a_claim_about_one_table_is_not_testable_on_another():
    claim = judge("depth-exponent", [measured(0.9, 1.1)], {}, data="ladder")
    assert claim.verdict == NOT_TESTABLE
    assert (
        claim.untestable
        == "the claim is about the chinchilla table, and this run looked at the ladder"
    )
    assert (
        judge("depth-exponent", [measured(0.9, 1.1)], {}, data="chinchilla").verdict == REPRODUCED
    )


def test_a_run_without_what_the_claim_needs_says_how_much_it_lacks():
    given = {"data": "pretrained", "met": {"depths": 2}}
    claim = judge("rotation-inverse-depth", [measured(-1.1, -0.9)], {}, **given)
    assert claim.untestable == "it takes 3 depths, this run has 2"
    assert judge("rotation-inverse-depth", [], {}, data="pretrained").verdict == NOT_TESTABLE


def test_an_effect_needs_the_smallest_size_of_interest():
    key = "toy-variants-raise-the-exponent-residual"
    assert judge(key, [measured(0.005, 0.009)], {}, data="toy").verdict == NOT_REPRODUCED
    assert judge(key, [measured(0.15, 0.2)], {}, data="toy").verdict == REPRODUCED
    assert judge(key, [measured(0.05, 0.2)], {}, data="toy").verdict == UNDECIDED


def test_a_statistic_that_failed_in_calibration_decides_nothing():
    claim = judge("neighbours-cannot-replace", [measured(2, 3)], {})
    assert claim.untestable.startswith("not a test: ")
    assert not claim.measurements


def test_what_an_untrained_network_passes_is_no_evidence():
    key = "swap-costs-less-than-skip-pretrained"
    inside, outside = measured(0.1, 0.2), measured(2, 3)
    assert beside_untrained(inside, inside, key).verdict == NO_EVIDENCE
    assert not beside_untrained(inside, outside, key).idle
    assert "may pass" in beside_untrained(inside, measured(0.5, 2), key).idle
    assert not beside_untrained(outside, inside, key).idle
    assert not beside_untrained(inside, None, key).idle
    assert "no untrained" in beside_untrained(inside, None, key, needed=True).idle
    assert not beside_untrained(outside, None, key, needed=True).idle
    idle = judge(key, [beside_untrained(inside, inside, key)], {}, data="pretrained")
    assert idle.verdict == NOT_TESTABLE
    assert "an untrained network" in idle.untestable
    both = [beside_untrained(inside, inside, key), outside]
    assert judge(key, both, {}, data="pretrained").verdict == NOT_REPRODUCED


def test_of_several_runs_the_larger_decides_and_the_row_says_why():
    live = judge("depth-exponent", [measured(0.9, 1.1)], {}, data="chinchilla", size=10)
    (kept,) = stored([judge("depth-exponent", [measured(2, 3)], {}, data="chinchilla", size=20)])
    other = judge("depth-exponent", [], {}, data="ladder", size=99)
    ((first, others, why),) = rows([live, kept, other])
    assert (first, others) == (kept, [live, other])
    assert why == "the stored run decides, the larger; alone, another would say: reproduced"
    ((first, _, why),) = rows([live, other])
    assert first == live
    assert why == "the live run decides, the others cannot test it"
    ((first, _, why),) = rows([live, replace(kept, size=10)])
    assert first.run == "stored"
    assert "of equal size" in why
    assert rows([live])[0][2] == "one run"


def test_a_claim_needs_measurements_or_a_reason():
    with pytest.raises(ValueError, match="needs either"):
        Claim("k", "s", "p", {})


def test_intervals_must_be_intervals():
    with pytest.raises(ValueError, match="not an interval"):
        Measurement("x", 1.0, 2.0, 0.0)
    with pytest.raises(ValueError, match="expected range is empty"):
        Measurement("x", 1.0, 0.0, 2.0, expected_low=3.0, expected_high=2.0)
    with pytest.raises(ValueError, match="not an interval"):
        Measurement("x", 1.0, float("nan"), 2.0)


def test_round_trip_keeps_unbounded_sides():
    original = judge("additivity", [Measurement("x", 1.0, 0.5, math.inf)], {}, data="chinchilla")
    record = json.loads(json.dumps(original.to_dict(), allow_nan=False))
    assert Claim.from_dict(record) == original
    assert Claim.from_dict(record | {"why": "one run"}) == original


def test_box_escapes_and_shows_every_number():
    one = replace(measured(1, 2), expected_low=0.5, expected_high=1.5, idle="p < q")
    claim = Claim("k", "a < b & c", "figure 1", {"model": "tiny"}, (one,), run="stored")
    bundle = claim._repr_mimebundle_()
    for part in ("a &lt; b &amp; c", "1.5", "[1, 2]", "p &lt; q", "stored run", 'id="claim-k-stor'):
        assert part in bundle["text/html"]
    assert bundle[CLAIM_MIME]["verdict"] == NOT_TESTABLE


def test_a_box_has_in_sight_what_bears_its_verdict():
    spans = [INSIDE, INSIDE, OUTSIDE, INSIDE]
    named = [replace(m, name=f"m{i}") for i, m in enumerate(ranged(*spans))]
    claim = Claim("k", "s", "p", scope={"model": "tiny"}, measurements=tuple(named))
    seen, folded = box(claim).split("<details>")
    assert ["m2" in seen, "m0" in seen, "m1" in seen] == [True, True, False]
    assert "<summary>Scope, and 2 more measured</summary>" in folded
    assert folded.index("m1") < folded.index("m3") < folded.index("model: tiny")
