"""Statistics over resampled documents: against plain loops over documents, limits, invariance."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from companion.errors import InputError
from companion.probing import compact, controls, probe
from companion.probing.beside import resampling
from companion.probing.summaries import middle_mean, profile, update_cosine
from companion.runtime import Runtime

RUNTIME = Runtime.choose("cpu", seed=5)


def generator():
    return np.random.default_rng(3)


@pytest.fixture(scope="module")
def walk():
    control = controls.Control("ensemble", ell=8, m=16, documents=40, length=8)
    return controls.measure(control, RUNTIME)


@pytest.fixture
def probed(build_model):
    tokens = torch.randint(3, 90, (12, 16), generator=torch.Generator().manual_seed(1))
    return probe(build_model("llama", num_hidden_layers=4), tokens, lens="both")


def test_layer_means_are_those_of_the_data_set(walk):
    means = resampling.layer_means(walk, "theta", generator())
    assert means.estimate == pytest.approx(profile(walk, "theta")[:8])
    assert means.draws.std(0, ddof=1) == pytest.approx(profile(walk, "theta", "sem")[:8], rel=0.2)


def test_the_interval_of_a_mean_is_that_of_its_clustered_error(walk):
    means = resampling.layer_means(walk, "theta", generator())
    found = means(lambda theta: theta[..., 2:6].mean(-1))
    assert found.estimate == pytest.approx(middle_mean(walk).estimate)
    assert found.stderr == pytest.approx(middle_mean(walk).stderr, rel=0.15)


def test_cosines_of_a_walk_do_not_depend_on_the_distance(walk):
    cosines = resampling.lag_cosines(walk, generator())
    assert cosines[0, 0] == pytest.approx(update_cosine(walk).estimate)
    assert cosines.shape == (3, 3)
    assert np.all((cosines[1] < 0.21) & (cosines[2] > 0.19))  # 1/(1 + 2^2), planted


def test_what_is_kept_of_the_cosine_is_all_in_a_walk_and_little_in_a_smooth_flow(walk):
    assert 1.0 in resampling.cosine_kept(walk, generator())
    faded = walk.copy(deep=True).drop_vars([n for n in walk if "correlation_sums" in n])
    i, j = np.indices(faded["update_correlation"].shape)
    faded["update_correlation"][:] = 0.5 ** np.abs(i - j)
    faded["update_correlation_sem"][:] = 1e-6
    assert resampling.cosine_kept(faded, generator()).estimate == pytest.approx(0.5, abs=1e-3)
    with pytest.raises(InputError, match="middle of"):
        resampling.cosine_kept(walk.assign_attrs(ell=4), generator())


@pytest.mark.parametrize("lens", resampling.LENSES)
def test_loss_left_is_that_of_the_mean_losses(probed, lens):
    ce = profile(probed, f"cross_entropy{resampling.LENSES[lens]}")
    ce = ce[np.isfinite(ce)]
    left = resampling.loss_left(probed, lens, generator())
    assert left[0] == pytest.approx((ce - ce[-1]) / (np.log(96) - ce[-1]))
    assert np.all(left[1] <= left[0] + 1e-12)
    assert np.all(left[0] <= left[2] + 1e-12)


def planted(probed, losses):
    """The probe with the logit lens' losses replaced, the same for all documents."""
    names = probed.attrs["quantities"]
    start = 0
    for name in json.loads(names):
        if name == "cross_entropy_logit":
            break
        start += resampling.BY_NAME[name].layers(4)
    sums = probed["state_sums"].copy(deep=True)
    counts = probed["state_counts"].values[start : start + 5]
    sums.values[start : start + 5] = np.asarray(losses)[:, None, None] * counts
    return probed.assign(state_sums=sums)


@pytest.mark.parametrize(
    ("losses", "share", "even"),
    [
        ([4.0, 3.0, 2.0, 1.0, 0.0], 2 / np.log(96), 1.0),  # every layer removes the same
        ([4.0, 4.0, 2.0, 2.0, 0.0], 2 / np.log(96), 0.5),  # one of two middle layers
        ([4.0, 2.0, 3.0, 4.0, 0.0], -2 / np.log(96), -1.0),  # the middle raises the loss
        ([4.0, 3.0, 9.0, 3.0, 0.0], 0.0, 0.0),  # one undoes the other
    ],
)
def test_shares_of_planted_losses(probed, losses, share, even):
    made = planted(probed, losses)
    assert resampling.middle_share(made, "logit lens", generator()).estimate == pytest.approx(share)
    found = resampling.loss_evenness(made, "logit lens", generator())
    assert [found.estimate, found.low, found.high] == pytest.approx([even] * 3)


def test_worse_than_guessing_counts_layers(probed):
    made = planted(probed, [9.0, 5.0, 4.0, 4.0, 3.0])
    found = resampling.worse_than_guessing(made, "logit lens", generator())
    assert found.estimate == pytest.approx(2 / 5)
    assert resampling.known_loss(made, "logit lens", generator()).estimate == pytest.approx(
        np.log(96) - 3
    )


def test_a_compact_file_gives_the_same_estimates_and_intervals_as_wide(probed):
    small = compact(probed)
    for lens in resampling.LENSES:
        whole, known = (resampling.middle_share(d, lens, generator()) for d in (probed, small))
        assert known.estimate == pytest.approx(whole.estimate, rel=1e-3)
        assert known.stderr > 0.8 * whole.stderr
    whole, known = (resampling.lag_cosines(d, generator()) for d in (probed, small))
    assert known[0] == pytest.approx(whole[0], abs=1e-6)
    assert np.all(known[2] - known[1] > 0.7 * (whole[2] - whole[1]))


def test_what_is_not_in_the_file_is_refused(walk):
    with pytest.raises(InputError, match="no sums of 'cross_entropy'"):
        resampling.layer_means(walk, "cross_entropy", generator())
    alone = controls.Control("ensemble", ell=4, m=8, documents=1, length=8)
    one = controls.measure(alone, RUNTIME)
    with pytest.raises(InputError, match="at least 2"):
        resampling.lag_cosines(one, generator())
