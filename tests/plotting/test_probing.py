"""Figures show the numbers of the dataset: lines at its means, ticks at its depths."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from companion.models import Model
from companion.plotting import theme
from companion.plotting.probes import geometry, probing
from companion.plotting.probes.report import depth_report, depth_report_of
from companion.probing import controls, probe
from companion.probing.summaries import middle_mean, profile, rotation_slope
from companion.runtime import Runtime

RUNTIME = Runtime.choose("cpu", seed=2)


def measured(ell):
    torch.manual_seed(ell)
    settings = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2}
    net = LlamaForCausalLM(LlamaConfig(num_hidden_layers=ell, vocab_size=50, **settings))
    tokens = torch.randint(0, 50, (6, 24), generator=torch.Generator().manual_seed(0))
    return probe(Model.of(net, RUNTIME, name=f"tiny{ell}"), tokens, lens="both")


@pytest.fixture(scope="module")
def models():
    return {f"tiny{ell}": measured(ell) for ell in (2, 4, 6)}


@pytest.fixture(scope="module")
def deep(models):
    return models["tiny6"]


@pytest.fixture(scope="module")
def known():
    return controls.measure_all(RUNTIME, ell=8, m=16, documents=4, length=8)


@pytest.fixture(autouse=True)
def fresh():
    theme.use()
    plt.figure()
    yield
    plt.close("all")


def drawn():
    plt.gcf().canvas.draw()


def test_line_is_at_the_means(deep):
    ax = probing.line(deep, "theta")
    assert ax.lines[0].get_ydata() == pytest.approx(profile(deep, "theta")[:6])
    drawn()


def test_relative_depth_ends_at_one(deep):
    ax = probing.line(deep, "norm", relative=True)
    assert ax.lines[0].get_xdata()[-1] == 1


@pytest.mark.parametrize("quantity", ["cross_entropy", "entropy", "kl", "top1"])
def test_both_lenses(deep, quantity):
    ax = probing.lenses(deep, quantity)
    assert theme.names_of(ax) == [
        "last-block lens",
        "logit lens",
    ]
    drawn()


@pytest.mark.parametrize("quantity", ["norm", "theta", "theta_dh"])
def test_density_is_relative_to_each_column(deep, quantity):
    ax = probing.density(deep, quantity)
    shares = ax.collections[0].get_array()
    assert np.asarray(shares.max(0)) == pytest.approx(np.ones(shares.shape[1]))
    drawn()


def test_bars_are_the_loss_removed(deep):
    ax = probing.loss_removed(deep)
    heights = [bar.get_height() for bar in ax.patches]
    assert heights == pytest.approx(profile(deep, "loss_removed")[:5])


def test_parts_and_groups(deep):
    assert len(probing.update_parts(deep).lines) == 3
    plt.figure()
    assert len(probing.first_and_rest(deep).lines) == 2
    drawn()


def test_depth_has_one_colour_order(models):
    colours = probing.depth_colours(dict(reversed(models.items())))
    assert list(colours) == ["tiny2", "tiny4", "tiny6"]
    assert list(colours.values()) == theme.depth_palette(3)


@pytest.mark.parametrize("scale", [False, True])
def test_profiles_across_depths(models, scale):
    ax = geometry.profiles_across(models, "theta", scale=scale)
    factor = 6 if scale else 1
    assert ax.lines[2].get_ydata() == pytest.approx(factor * profile(models["tiny6"], "theta")[:6])
    drawn()


def test_across_depths_and_own_loss(models):
    probing.across_depths(models, "cross_entropy")
    drawn()
    plt.figure()
    ax = probing.own_loss(models)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["2", "4", "6"]
    drawn()


def test_rotation_against_depth(models, known):
    walks = controls.measure_depths("ensemble", [4, 8], RUNTIME, m=16, documents=2, length=4)
    ax = geometry.rotation_against_depth({"models": models, "ensemble": walks})
    points, fitted, *rest = ax.lines
    assert points.get_ydata() == pytest.approx([middle_mean(d).estimate for d in models.values()])
    assert len(fitted.get_xdata()) == 2
    assert len(rest) == 1, "two depths get no line"
    assert points.get_label() == f"models {rotation_slope(models).estimate:.2f}"
    assert rest[0].get_label() == "ensemble"
    geometry.guides(ax)
    drawn()


def test_controls_keep_their_colours(known):
    alone, beside = probing.colours(known), probing.colours({"m": 0, **known, "untrained": 0})
    assert alone.items() <= beside.items()
    assert len(set(beside.values())) == 5


def test_correlations(deep, known):
    image = geometry.correlation_matrix(deep).images[0].get_array()
    assert np.diag(np.asarray(image)) == pytest.approx(np.ones(6))
    plt.figure()
    ax = geometry.correlation_by_lag(known)
    lags, cosine = geometry.by_lag(known["ensemble"])
    assert ax.lines[0].get_ydata() == pytest.approx(cosine)
    assert lags.tolist() == [1, 2, 3]
    drawn()


def test_panels_share_an_axis(known):
    figure = probing.panels(known, geometry.spread, "theta", log=True)
    assert len({ax.get_ylim() for ax in figure.axes}) == 1
    drawn()


def test_whole_pages(deep):
    assert len(depth_report(deep).axes) == 7
    drawn()
    assert len(geometry.angles(deep, "tiny").axes) == 4
    drawn()


def test_noise_floor(deep):
    noisy = deep.assign(theta_noise=("layer", np.append(np.full(6, 0.01), np.nan)))
    assert len(geometry.noise_floor(noisy).lines) == 2
    plt.figure()
    geometry.compare({"a": deep, "b": deep}, "theta")
    drawn()


def test_both_lenses_of_each_run_stand_beside_a_guess(deep):
    figure = probing.lens_panels({"a": deep, "b": deep})
    assert [ax.get_title() for ax in figure.axes] == ["a", "b"]
    guess = [line.get_ydata()[0] for line in figure.axes[0].lines if line.get_linestyle() == ":"]
    assert guess == pytest.approx([np.log(50)])
    drawn()


@pytest.mark.parametrize("draw", [probing.lens_panels, depth_report_of])
def test_a_figure_of_no_run_says_so(draw):
    assert "no such run" in draw({}).texts[0].get_text()
