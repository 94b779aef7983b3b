"""What disturbed blocks say about the regimes: a table, sentences, and claims."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from companion.errors import InputError
from companion.evidence.claims import Claim, Measurement
from companion.evidence.judging import judge, of
from companion.evidence.probes.scope import of_ladder
from companion.interventions import Pretrained
from companion.interventions.costs import (
    SHALLOWEST,
    Datasets,
    cost,
    deep,
    exponent,
    gain_of_depth,
    loss_without_blocks,
    ratio,
    share,
)

RANGES = (
    *("skip-costs-little", "swap-costs-less-than-skip", "neighbours-cannot-replace"),
    *("skip-cost-falls-with-depth", "fact-moves-gradually"),
)
"""Claims whose ranges the chapter quotes."""

WORST_GUESS = np.log(2**20)
"""Loss of a uniform guess among as many tokens as no vocabulary here has, in nats."""


def table(
    datasets: Datasets, generator: np.random.Generator, kinds: Sequence[str] = ("swap",)
) -> pd.DataFrame:
    """Per model: loss, gain by all blocks, middle skip cost, its share, ratios of other kinds.

    Costs and ratios are texts, each with its 95 % interval over documents.
    """
    rows = {}
    for name, dataset in datasets.items():
        weights = dataset.tokens / dataset.tokens.sum()
        row = {
            "blocks": dataset.attrs["ell"],
            "loss": round(float((dataset.loss_clean * weights).sum()), 3),
            "gain of all blocks": round(float(gain_of_depth(dataset)), 3),
            "skip one": f"{cost(dataset, 'skip', generator):.3f}",
            "share": f"{share(dataset, generator):.2f}",
        }
        ratios = {f"{k} / skip": f"{ratio(dataset, k, generator):.2f}" for k in kinds}
        rows[name] = row | ratios
    return pd.DataFrame(rows).T


def sentence(name: str, dataset: xr.Dataset, generator: np.random.Generator) -> str:
    """The three middle costs of one model, in words with intervals."""
    skip, swap, average = (cost(dataset, k, generator) for k in ("skip", "swap", "average"))
    return (
        f"In the middle of {name}, skipping a block changes the loss by {skip:.3f} nats per token, "
        f"swapping two neighbours by {swap:.3f}, and the mean update of the neighbours in place "
        f"of a block's own by {average:.3f}."
    )


def exponent_sentence(datasets: Datasets, generator: np.random.Generator) -> str:
    """The exponent of the skip cost against depth, or why there is none, in words."""
    try:
        slope = exponent(datasets, generator)
    except InputError as refused:
        return f"No exponent can be given: {refused}."
    return f"The cost of skipping a middle block goes as depth to the power {slope:.2f}."


def skipping_costs_little(datasets: Datasets, generator: np.random.Generator) -> Claim:
    """Claim: a middle block carries at most an equal share of what all blocks gain.

    No evidence where the loss without any block is no unit: every share of it is small.
    """
    return _judge(
        "skip-costs-little",
        datasets,
        [
            of(share(d, generator), f"share of a middle block, {name}", idle=_no_unit(d))
            for name, d in deep(datasets).items()
        ],
    )


def _no_unit(dataset: xr.Dataset) -> str:
    loss = loss_without_blocks(dataset)
    return "" if loss <= WORST_GUESS else f"without blocks the loss is {loss:.0f} nats per token"


def swapping_costs_less(datasets: Datasets, generator: np.random.Generator) -> Claim:
    """Claim: two neighbouring middle blocks swapped cost less than one skipped."""
    return _judge("swap-costs-less-than-skip", datasets, _ratios(datasets, "swap", generator))


def neighbours_cannot_replace(datasets: Datasets, generator: np.random.Generator) -> Claim:
    """Claim: updates are weakly correlated, so the neighbours' mean update is no substitute."""
    return _judge("neighbours-cannot-replace", datasets, _ratios(datasets, "average", generator))


def _ratios(datasets: Datasets, kind: str, generator: np.random.Generator) -> list[Measurement]:
    return [
        of(ratio(d, kind, generator), f"{kind} / skip, {name}")
        for name, d in deep(datasets).items()
    ]


def skip_cost_falls(datasets: Datasets, generator: np.random.Generator) -> Claim:
    """Claim: the cost of skipping falls with depth, faster than in proportion."""
    measured, reason = [], ""
    try:
        measured = [of(exponent(datasets, generator), "exponent of the skip cost")]
    except InputError as refused:
        reason = str(refused)
    return _judge("skip-cost-falls-with-depth", datasets, measured, reason)


def _judge(key: str, datasets: Datasets, measured: list[Measurement], reason: str = "") -> Claim:
    counts = sorted({int(d.tokens.sum()) for d in datasets.values()})
    scope = {
        "models": ", ".join(datasets),
        "data": ", ".join(sorted({str(d.attrs["corpus"]) for d in datasets.values()})),
        "size": ", ".join(f"{n:,}" for n in counts) + " predicted tokens a model",
    }
    reason = "" if measured else reason or f"no model has {SHALLOWEST} blocks or more"
    kind = "ladder" if all(map(of_ladder, datasets)) else "pretrained"
    return judge(key, measured, scope, data=kind, reason=reason, size=sum(counts))


def pretrained_sentence(pretrained: Pretrained) -> str:
    """Whether a pretrained model was disturbed in this run, and which stored runs there are."""
    if pretrained.live:
        (dataset,) = pretrained.live.values()
        said = (
            f"{pretrained.name} was disturbed in this run, its loss read at "
            f"{int(dataset.tokens.sum()):,} tokens of {dataset.sizes['document']} documents."
        )
    elif pretrained.name:
        said = f"{pretrained.name} could not be had here: {pretrained.refused}."
    else:
        said = "No pretrained model was asked for."
    runs = [
        f"{name} ({int(dataset.tokens.sum()):,} tokens read of {dataset.sizes['document']} "
        f"documents, {dataset.attrs['corpus']})"
        for name, dataset in pretrained.stored.items()
    ]
    return f"{said} Stored runs: {' and '.join(runs) or 'none'}."


def unit_sentence(datasets: Datasets) -> str:
    """For which models the loss without any block is no unit to measure a share in, in words."""
    empty = {name: loss_without_blocks(dataset) for name, dataset in datasets.items()}
    absurd = {name: loss for name, loss in empty.items() if loss > WORST_GUESS}
    if not absurd:
        return "The share is measured against a loss without blocks that a guess would have."
    losses = ", ".join(f"{loss:.0f} for {name}" for name, loss in absurd.items())
    return (
        f"The share says little where the loss without any block ({losses} nats per token) is far "
        f"worse than that of a guess among all tokens (at most {WORST_GUESS:.0f}): measured in "
        "such a unit every block is small."
    )
