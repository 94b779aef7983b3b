"""Verdicts follow from intervals, and a claim survives its way to disk and back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.evidence.claims import (
    CLAIM_MIME,
    NOT_REPRODUCED,
    NOT_TESTABLE,
    PARTLY,
    REPRODUCED,
    UNDECIDED,
    Claim,
    Measurement,
    ledger,
)

finite = st.floats(-1e6, 1e6)


def claim(*measurements, untestable=""):
    return Claim("k", "a < b & c", "figure 1", {"model": "tiny"}, measurements, untestable)


def inside():
    return Measurement("inside", 1.0, 0.9, 1.1, 0.5, 1.5)


def outside():
    return Measurement("outside", 3.0, 2.0, 4.0, 0.5, 1.5)


def straddling():
    return Measurement("straddling", 1.4, 1.0, 2.0, 0.5, 1.5)


@pytest.mark.parametrize(
    ("measurements", "verdict"),
    [
        ([inside()], REPRODUCED),
        ([outside()], NOT_REPRODUCED),
        ([straddling()], UNDECIDED),
        ([inside(), outside()], PARTLY),
        ([inside(), outside(), straddling()], PARTLY),
        ([inside(), straddling()], UNDECIDED),
        ([outside(), straddling()], UNDECIDED),
    ],
)
def test_verdict_of_combined_measurements(measurements, verdict):
    assert claim(*measurements).verdict == verdict


@given(finite, finite, finite, finite)
def test_verdict_agrees_with_set_relations(a, b, c, d):
    (low, high), (expected_low, expected_high) = sorted([a, b]), sorted([c, d])
    verdict = Measurement("x", low, low, high, expected_low, expected_high).verdict
    contained = expected_low <= low and high <= expected_high
    disjoint = high < expected_low or expected_high < low
    assert verdict == (REPRODUCED if contained else NOT_REPRODUCED if disjoint else UNDECIDED)


def test_a_claim_needs_measurements_or_a_reason():
    assert claim(untestable="no GPU").verdict == NOT_TESTABLE
    with pytest.raises(ValueError, match="needs either"):
        claim()
    with pytest.raises(ValueError, match="needs either"):
        claim(inside(), untestable="no GPU")


def test_intervals_must_be_intervals():
    with pytest.raises(ValueError, match="not an interval"):
        Measurement("x", 1.0, 2.0, 0.0)
    with pytest.raises(ValueError, match="expected range is empty"):
        Measurement("x", 1.0, 0.0, 2.0, 3.0, 2.0)
    with pytest.raises(ValueError, match="not an interval"):
        Measurement("x", 1.0, float("nan"), 2.0)


def test_round_trip_keeps_unbounded_sides(tmp_path):
    one_sided = Measurement("x", 1.0, 0.5, float("inf"), expected_low=0.2)
    original = claim(one_sided)
    record = json.loads(json.dumps(original.to_dict(), allow_nan=False))
    assert Claim.from_dict(record) == original


def test_ledger_names_the_chapter(tmp_path):
    path = tmp_path / "probing.json"
    path.write_text(json.dumps({"claims": [claim(inside()).to_dict()]}))
    (found,) = ledger([path])
    assert (found.chapter, found.verdict) == ("probing", REPRODUCED)


def test_box_escapes_and_shows_every_number():
    bundle = claim(straddling())._repr_mimebundle_()
    assert "a &lt; b &amp; c" in bundle["text/html"]
    assert "1.4" in bundle["text/html"]
    assert "[1, 2]" in bundle["text/html"]
    assert bundle[CLAIM_MIME]["verdict"] == UNDECIDED
