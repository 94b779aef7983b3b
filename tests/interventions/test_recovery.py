"""Reading a trace: shares recovered, roles, and the paper's sentence."""

import numpy as np
import pytest
import xarray as xr

from companion.errors import InputError
from companion.interventions import Fact, Tracing, recovery, trace

ELL = 4


def planted(known=(True, True), prompts=("a b c", recovery.NEEDLE)):
    """Two facts of three tokens; the answer moves from the subject to the last token at layer 2."""
    n = len(prompts)
    grid = np.full((n, 2, ELL + 1, 3), 0.1)
    grid[:, :, :2, 1] = 0.9
    grid[:, :, 2:, 2] = 0.9
    grid[:, :, 2, 1] = 0.4
    role = np.array([["before", "end of subject", "last"]] * n, object)
    return xr.Dataset(
        {
            "probability": (("prompt", "noise", "layer", "token"), grid),
            "role": (("prompt", "token"), role),
            "token_text": (("prompt", "token"), role),
            "probability_clean": ("prompt", np.full(n, 0.9)),
            "probability_corrupted": (("prompt", "noise"), np.full((n, 2), 0.1)),
            "known": ("prompt", np.array(known)),
            "reason": ("prompt", np.where(known, "", "because").astype(object)),
            "rank": ("prompt", np.ones(n, int)),
            "target": ("prompt", np.array([" x"] * n, object)),
        },
        coords={"prompt": list(prompts), "layer": range(ELL + 1)},
        attrs={"model": "EleutherAI/pythia-70m", "ell": ELL},
    )


def test_shares_run_from_nothing_to_the_whole():
    found = recovery.recovered(planted())
    np.testing.assert_allclose(found.estimate.sel(role="last"), [0, 0, 1, 1, 1], atol=1e-12)
    np.testing.assert_allclose(
        found.estimate.sel(role="end of subject"), [1, 1, 0.375, 0, 0], atol=1e-12
    )
    assert found.estimate.sel(role="after").isnull().all()


def test_the_handover_is_told_by_layer():
    text = recovery.handover(planted())
    assert "over 2 known facts" in text
    assert "up to layer 1 of 4" in text
    assert "from layer 2 of 4 on" in text


def test_unknown_facts_are_left_out_of_the_mean():
    found = recovery.recovered(planted(known=(True, False)))
    assert int(found.facts.max()) == 1
    assert found.low.isnull().all()
    with pytest.raises(InputError, match="knows none of the facts"):
        recovery.recovered(planted(known=(False, False)))
    assert "knows none" in recovery.handover(planted(known=(False, False)))


def test_the_overview_and_the_sentence_tell_what_is_not_known():
    dataset = planted(known=(True, False))
    assert recovery.overview(dataset).known.tolist() == ["yes", "no: because"]
    assert recovery.sentence(dataset).endswith("knows 1 of 2 facts.")


def test_the_papers_probability_is_compared_only_for_its_models():
    dataset = planted()
    assert recovery.space_needle(dataset).verdict == "not reproduced"
    right = dataset.assign(probability_clean=dataset.probability_clean * 0 + 0.0106)
    assert recovery.space_needle(right).verdict == "reproduced"
    other = dataset.assign_attrs(model="ladder:m128-ell8")
    assert "this run has ladder:m128-ell8" in recovery.space_needle(other).untestable


def test_the_largest_drop_comes_first(llama):
    facts = [Fact("import {subject} as", s, " np") for s in ("numpy", "z", "qqq")]
    found = trace(llama, facts, Tracing(draws=2))
    drop = found.probability_clean - found.probability_corrupted.mean("noise")
    order = recovery.strongest(found, 2)
    assert order == np.argsort(-drop.values)[:2].tolist()
