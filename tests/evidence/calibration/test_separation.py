"""Planted statistics: one separates, one does not, one has a meaning only now and then."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import xarray as xr

from companion.evidence import calibration
from companion.evidence.calibration.separation import CLASSES, LEARNED, PAIRS, evidence, separate

DEPTHS = (4, 8, 16)
PLANTED = ("perfect", "noise", "drifting", "flipping", "absent", "one pair")


def _value(name, place, ell, teacher, noise):
    if name == "perfect":
        return place + 0.1 * noise
    if name == "drifting":  # separates at every depth, though no one cut does for all of them
        return place + 5 * np.log(ell) + 0.1 * noise
    if name == "flipping":  # separates at every depth, but the other way round at the deepest
        return (place if ell < 16 else -place) + 0.1 * noise
    if name == "absent":  # cannot be formed for untrained networks, nor at the shallowest depth
        return np.nan if place == 3 or ell == 4 else place + 0.1 * noise
    if name == "one pair":  # tells the first two classes apart and nothing else
        return (place if place < 2 else 3 * noise) + 0.1 * noise
    return noise


@pytest.fixture(scope="module")
def table():
    generator = np.random.default_rng(0)
    cases = list(itertools.product(range(4), (16, 32), DEPTHS, range(6)))
    rows = [
        [_value(name, place, ell, teacher, generator.normal()) for name in PLANTED]
        for place, _, ell, teacher in cases
    ]
    facts = {
        "regime": [CLASSES[place] for place, *_ in cases],
        "m": [m for _, m, *_ in cases],
        "ell": [ell for *_, ell, _ in cases],
        "teacher": [teacher for *_, teacher in cases],
        "explained": np.ones(len(cases)),
    }
    coords = {"statistic": list(PLANTED)} | {
        k: ("network", v) for k, v in facts.items() if k != "explained"
    }
    return xr.Dataset(
        {
            "value": (("network", "statistic"), np.array(rows)),
            "explained": ("network", facts["explained"]),
        },
        coords=coords,
        attrs={"provenance": '{"time": "2026-01-01T00:00"}'},
    )


@pytest.fixture(scope="module")
def study(table):
    return table.merge(separate(table, np.random.default_rng(1)), compat="no_conflicts")


def test_what_separates_passes_and_what_does_not_fails(study):
    assert calibration.passes("perfect", study=study)
    assert calibration.separates("noise", study) == ()
    assert not calibration.passes("noise", study=study)
    assert calibration.separates("never tried", study) == ()


def test_a_cut_may_move_with_depth_but_not_change_its_side(study):
    assert calibration.passes("drifting", study=study)
    assert not calibration.passes("flipping", study=study)


def test_what_cannot_be_formed_calls_an_untrained_network_nothing(study):
    assert calibration.passes("absent", study=study)
    assert study["right"].sel(statistic="absent", depth=4).isnull().all()


def test_a_statistic_may_speak_for_one_pair_only(study):
    assert calibration.separates("one pair", study) == (CLASSES[:2],)
    assert calibration.against("one pair", "ensemble", study) == ("procedural",)
    assert calibration.why_no_test("one pair", "ensemble", study) == ""
    assert "not a test" in calibration.why_no_test("one pair", "compositional", study)
    assert "not a test" in calibration.why_no_test("noise", "ensemble", study)


def test_areas_are_one_half_of_noise_and_one_of_what_separates(study):
    area = study["auc"].sel(pair="ensemble | procedural")
    assert np.allclose(area.sel(statistic="perfect"), 0)
    noise = study.sel(pair="ensemble | procedural", statistic="noise")
    assert (noise["auc_low"] < noise["auc"]).all()
    assert (noise["auc_low"].values < 0.5).any()
    assert (noise["auc_high"].values > 0.5).any()


def test_judged_teachers_are_others_than_those_of_the_cut(table):
    """A statistic that only knows a teacher by name must not pass."""
    generator = np.random.default_rng(3)
    names = generator.normal(size=(4, 6))
    place = [CLASSES.index(one) for one in table["regime"].values]
    known = table.copy(deep=True)
    known["value"].values[:, 1] = names[place, table["teacher"].values]
    study = known.merge(separate(known, np.random.default_rng(1)), compat="no_conflicts")
    assert not calibration.passes("noise", study=study)


def test_students_that_did_not_learn_and_mixtures_do_not_count(table):
    poor = table.copy(deep=True)
    poor["explained"].values[:3] = LEARNED - 0.01
    poor["regime"].values[5] = "mixture"
    counted = evidence(poor)["network"].values
    assert sorted(set(range(table.sizes["network"])) - set(counted)) == [0, 1, 2, 5]
    sides = separate(poor, np.random.default_rng(1))["side"]
    assert (sides.sel(network=[0, 1, 2, 5]) == -1).all()


def test_a_network_is_called_what_it_is(study):
    found = calibration.confusion(study, ["perfect"])
    assert (np.diag(found) == 36).all()
    assert found.to_numpy().sum() == 4 * 36
    nothing = calibration.confusion(study, ["noise"])
    assert (nothing["undecided"] == 36).all()
    partly = calibration.confusion(study, ["one pair"])
    assert (partly["undecided"] == 36).all()


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("ell", [4, 6, 16, 20])
def test_a_verdict_is_that_of_the_planted_class(study, place, ell):
    values = {"perfect": float(place), "noise": 0.0}
    if ell <= 16:  # beyond, the nearest depth's cut holds, and what drifts would be misjudged
        values = {"perfect": float(place), "drifting": place + 5 * np.log(ell), "noise": 0.0}
    verdict = calibration.verdict_for(values, ell, study)
    assert verdict.possible == (CLASSES[place],)
    assert verdict.used == tuple(name for name in values if name != "noise")
    if place < 3:
        assert verdict.sentence.startswith("Taken together: ")
    else:
        assert verdict.sentence.startswith("The regime stays open")


def test_what_does_not_speak_leaves_everything_open(study):
    silent = calibration.verdict_for({"noise": 1.0, "perfect": np.nan}, 8, study)
    assert silent.possible == CLASSES
    assert silent.sentence.startswith("No regime is excluded: none of the statistics")
    partly = calibration.verdict_for({"one pair": 0.0}, 8, study)
    assert partly.possible == ("ensemble", "compositional", "untrained")
    assert partly.regime == "undecided"
    assert "or" in partly.sentence


def test_no_cut_means_anything_outside_of_what_was_calibrated(study):
    far = calibration.verdict_for({"perfect": 40.0}, 8, study)
    assert far.outside == ("perfect",)
    assert far.possible == CLASSES
    deep = calibration.verdict_for({"perfect": 0.0}, 40, study)
    assert deep.possible == CLASSES
    assert "4 to 16 blocks" in deep.sentence


def test_tables_name_every_statistic_and_mark_those_that_passed(study):
    shown = calibration.table(study)
    assert list(shown.index) == list(PLANTED)
    assert list(shown.columns) == [" | ".join(pair) for pair in PAIRS]
    assert shown.loc["perfect"].str.endswith(" *").all()
    assert not shown.loc["noise"].str.endswith(" *").any()
    told = calibration.summary(study)
    assert told["answer"].startswith("Yes. ")
    assert "perfect" in told["verdict"]
    assert "noise" in told["failed"]
    assert "one pair" not in told["failed"]
    assert "36 of 36 right" in told["confused"]
    assert told["mixed"] == "This calibration has no mixtures."


def test_without_what_passes_a_pair_stays_open(study):
    told = calibration.summary(study.sel(statistic=["noise", "one pair"]))
    assert told["answer"].startswith("In part. ")
    assert "Nothing that was tried tells ensemble averaging from compositional" in told["verdict"]


def test_a_statistic_that_follows_the_share_orders_mixtures(table):
    rho = np.random.default_rng(0).choice([0.25, 0.5, 0.75], table.sizes["network"])
    mixed = table.assign_coords(rho=("network", rho))
    mixed["regime"].values[:] = "mixture"
    mixed["value"].values[:, 0] = rho
    ranks = calibration.mixtures(mixed)["rank correlation"]
    assert ranks["perfect"] == 1
    assert ranks["noise"] < 0.5


def test_live_values_are_counted_within_the_stored_range(study):
    assert "0 outside" in calibration.checked(study, study)
    far = study.assign(value=study["value"] + 1000)
    assert "0 lie within" in calibration.checked(far, study)
