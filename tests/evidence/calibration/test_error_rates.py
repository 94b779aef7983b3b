"""Planted truths through the ledger's own rules: seldom wrong, and right where data can decide."""

import json

import numpy as np
import pytest

from companion.evidence.calibration.error_rates import CASES, error_rates
from companion.files import stored


@pytest.fixture(scope="module")
def rates():
    return error_rates(120, (0.2, 1.8), 4, np.random.default_rng(1))


def test_a_verdict_is_seldom_wrong(rates):
    assert rates["wrong_low"].max() <= 0.05
    assert len(rates) == 2 * len(CASES)
    assert rates[["right", "wrong", "undecided", "untestable"]].sum(axis=1).to_numpy() == (
        pytest.approx(1)
    )


def test_little_noise_is_decided_and_much_noise_is_not(rates):
    quiet, loud = (rates[rates["noise"] == noise].set_index("case") for noise in (0.2, 1.8))
    clear = [case.name for case in CASES if "gains" not in case.name and "end of" not in case.name]
    assert quiet.loc[clear, "right"].min() > 0.95
    assert loud["undecided"].mean() > quiet["undecided"].mean()


def test_the_stored_study_has_every_case_and_a_stamp():
    record = json.loads(stored("ledger-errors.json").read_text("utf-8"))
    assert {row["case"] for row in record["rows"]} == {case.name for case in CASES}
    assert record["provenance"]["parameters"]["repeats"] >= 1000
    assert max(row["wrong_low"] for row in record["rows"]) <= 0.025
