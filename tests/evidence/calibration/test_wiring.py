"""No verdict rests on a statistic that fails the stored calibration, whatever was measured."""

from __future__ import annotations

import pytest

from companion.evidence import calibration
from companion.evidence.calibration.statistics import STATISTICS
from companion.evidence.claims import NOT_TESTABLE, Measurement
from companion.evidence.judging import judge
from companion.evidence.registry import registry

RESTING = {key: told.statistic for key, told in registry().items() if told.statistic}


def inside(key):
    """Measurements that meet every part of a claim."""
    made = []
    for part in registry()[key].parts:
        expected = registry()[key].range(part)
        low = max(
            expected.low, expected.high - 1 if expected.low == -float("inf") else expected.low
        )
        high = min(expected.high, low + 1)
        middle = (low + high) / 2
        made.append(Measurement(part, middle, middle, middle, part))
    return made


@pytest.mark.parametrize("key", RESTING)
def test_a_claim_rests_on_a_statistic_that_was_calibrated(key):
    name, regime = RESTING[key]
    assert name in STATISTICS
    assert regime in calibration.calibrated()["truth"].values


@pytest.mark.parametrize("key", RESTING)
def test_even_a_perfect_measurement_decides_nothing_where_calibration_failed(key):
    name, regime = RESTING[key]
    data = (*registry()[key].about, "")[0]
    claim = judge(key, inside(key), {}, data=data)
    if calibration.against(name, regime):
        assert claim.verdict != NOT_TESTABLE
    else:
        assert claim.verdict == NOT_TESTABLE
        assert "not a test" in claim.untestable


def test_the_stored_calibration_fails_some_and_passes_others():
    """Otherwise the tests above would say nothing."""
    passed = {bool(calibration.against(*statistic)) for statistic in RESTING.values()}
    assert passed == {True, False}
