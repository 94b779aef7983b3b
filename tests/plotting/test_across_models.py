"""Figures show the rows: a point a model, hollow twins, a band where there is one."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from companion.evidence.across_models.comparison import KINDS, STATISTICS, compare
from companion.interventions import ablate
from companion.models import Model
from companion.plotting import across_models as figures
from companion.plotting import theme
from companion.probing import probe
from companion.probing.beside.twins import Twins
from companion.probing.summaries import profile
from companion.runtime import Runtime

RUNTIME = Runtime.choose("cpu", seed=2)
BAND = {"largest": 0.05, "largest_relative": 0.1}
ERRORS = {
    "schemes": {"Q4_1": {"model": "tiny8"}},
    "bands": {"Q4_1": {"middle_rotation": BAND}},
}


def measured(ell):
    torch.manual_seed(ell)
    settings = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2}
    net = LlamaForCausalLM(LlamaConfig(num_hidden_layers=ell, vocab_size=50, **settings))
    tokens = torch.randint(0, 50, (6, 24), generator=torch.Generator().manual_seed(0))
    model = Model.of(net, RUNTIME, name=f"tiny{ell}")
    found = ablate(model, tokens, KINDS)
    return probe(model, tokens, lens="both"), found.assign(loss_empty=found.loss_clean + 1)


@pytest.fixture(scope="module")
def beside():
    made = {f"tiny{ell}": measured(ell) for ell in (2, 4, 8)}
    probes = {name: one for name, (one, _) in made.items()}
    ladder = Twins({n: probes[n] for n in ("tiny2", "tiny4")}, {})
    real = Twins({"tiny8": probes["tiny8"]}, {"tiny8": probes["tiny8"]})
    costs = {name: found for name, (_, found) in made.items()}
    nobody = Twins({}, {})
    return compare(ladder, nobody, real, np.random.default_rng(0), costs)


@pytest.fixture(autouse=True)
def fresh():
    theme.use()
    plt.figure()
    yield
    plt.close("all")


def drawn():
    plt.gcf().canvas.draw()


def test_turns_are_rotations_times_blocks(beside):
    ax = figures.turns(beside)
    deepest = ax.lines[-1]
    assert deepest.get_label() == "tiny8"
    assert deepest.get_ydata() == pytest.approx(8 * profile(beside.probes["tiny8"], "theta")[:8])
    assert {text.get_text() for text in ax.texts} == {"tiny2", "tiny4", "tiny8"}
    drawn()


def test_labels_at_curves_do_not_overlap(beside):
    heights = sorted(text.xy[1] for text in figures.turns(beside).texts)
    assert np.all(np.diff(heights) >= figures.GAP - 1e-9)


def test_strips_have_a_line_a_model_and_a_panel_a_statistic(beside):
    figure = figures.strips(beside, ERRORS)
    assert [ax.get_title() for ax in figure.axes] == list(STATISTICS)
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels == ["tiny2", "tiny4", "tiny8"]
    widths = [line.get_linewidth() for line in figure.axes[0].lines]
    assert widths.count(9) == 1, "one error band"
    drawn()


def test_depths_show_twins_hollow(beside):
    ax = figures.depths(beside, ERRORS)
    hollow = [line for line in ax.lines if line.get_markerfacecolor() == "none"]
    assert len(hollow) == 1
    assert [t.get_text() for t in ax.get_xticklabels()] == ["2", "4", "8"]
    drawn()


def test_lenses_costs_and_cosines(beside):
    generator = np.random.default_rng(1)
    assert len(figures.both_lenses(beside, generator).axes) == 2
    drawn()
    plt.figure()
    ax = figures.skips(beside, generator)
    assert {text.get_text() for text in ax.texts} == {"tiny4", "tiny8", "equal share"}
    drawn()
    plt.figure()
    ax = figures.cosines(beside)
    assert len([line for line in ax.lines if line.get_linestyle() == ":"]) == 1
    drawn()


def test_families_are_told_from_depths(beside):
    styles = figures.styles(beside)
    assert styles["tiny8"]["color"] in theme.FAMILY_PALETTE
    assert [styles[n]["color"] for n in ("tiny2", "tiny4")] == theme.depth_palette(2)
