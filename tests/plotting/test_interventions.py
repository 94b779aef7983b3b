"""Every figure of disturbed blocks and traces is drawn from real results, with its labels."""

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from companion.interventions import KINDS, Fact, Tracing, ablate, controls, costs, trace
from companion.models import Model
from companion.plotting import interventions as figures
from companion.runtime import Runtime


@pytest.fixture(autouse=True)
def clean_canvas():
    mpl.use("Agg")
    yield
    plt.close("all")


def tiny(ell):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE(vocab={w: i for i, w in enumerate(alphabet)}, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    torch.manual_seed(ell)
    shape = {"n_embd": 16, "n_layer": ell, "n_head": 2, "n_positions": 32}
    config = GPT2Config(vocab_size=256, bos_token_id=None, eos_token_id=None, **shape)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner)
    runtime = Runtime.choose("cpu", "float32")
    return Model.of(GPT2LMHeadModel(config), runtime, tokenizer, f"tiny-ell{ell}")


@pytest.fixture(scope="module")
def ladder():
    tokens = torch.randint(0, 256, (6, 10), generator=torch.Generator().manual_seed(0))
    found = {f"ell{ell}": ablate(tiny(ell), tokens) for ell in (2, 4, 6)}
    return {name: d.assign_attrs(corpus="random") for name, d in found.items()}


@pytest.fixture(scope="module")
def traced():
    facts = [Fact("let {subject} be", "pi", " 3.1"), Fact("{subject}\n", "$e$", "2")]
    return trace(tiny(4), facts, Tracing(draws=2))


@pytest.fixture
def generator():
    return np.random.default_rng(0)


def lines(ax):
    return [line.get_label() for line in ax.get_lines()]


def test_by_layer_has_a_line_for_each_kind(ladder, generator):
    ax = figures.by_layer(ladder["ell6"], generator)
    assert set(KINDS) <= set(lines(ax))
    assert "nats" in ax.get_ylabel()


def test_across_has_a_line_for_each_model_at_its_relative_depth(ladder, generator):
    ax = figures.across(ladder, "swap", generator)
    assert set(ladder) <= set(lines(ax))
    np.testing.assert_allclose(ax.get_lines()[0].get_xdata(), [0.5])


def test_costs_below_zero_are_named_and_not_drawn(ladder, generator):
    ax = figures.against_depth(ladder, generator)
    middle = [float(costs.middle_cost(d, "skip")) for d in ladder.values()]
    for name, value in zip(ladder, middle, strict=True):
        assert (f"skip at {name[3:]}" in ax.get_title()) == (value <= 0)


def test_ratios_show_controls_and_models(ladder, generator):
    known = controls.table(Runtime.choose("cpu"), (4, 8, 12))
    ax = figures.ratios(ladder, known, generator)
    assert {text.get_text() for text in ax.texts} >= set(controls.REGIMES)


def test_trace_figures_mark_subject_and_what_is_not_known(traced):
    ax = figures.restored(traced, 1)
    labels = [tick.get_text() for tick in ax.get_yticklabels()]
    assert labels == [r"\$*", "e*", r"\$*", "⏎"]
    assert "(not known)" in ax.get_title()
    assert len(figures.strongest(traced, 4).get_axes()) == 4
    plt.figure()
    assert len(figures.knowledge(traced).get_yticklabels()) == 2


def test_roles_without_a_known_fact_say_so(traced):
    assert not traced.known.any()
    assert figures.by_role(traced).texts[0].get_text() == "no fact is known"
    plt.figure()
    assert figures.handovers(traced).texts[0].get_text() == "no fact is known"


def test_handovers_have_a_row_for_each_relation(planted_trace):
    dataset = planted_trace((True, True, True), tuple("abc"), ["x", "x", "y"])
    ax = figures.handovers(dataset)
    rows = {tick.get_text() for tick in ax.get_yticklabels()}
    assert rows == {"x (2 of 2 known)", "y (1 of 1 known)"}
    assert ax.get_xlim() == (0, 1)


def test_roles_of_known_facts_are_lines(traced):
    known = traced.assign(known=traced.known | True)
    ax = figures.by_role(known)
    assert {"end of subject", "last"} <= set(lines(ax))
    for figure in map(plt.figure, plt.get_fignums()):
        figure.canvas.draw()
