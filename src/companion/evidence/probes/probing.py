"""What the loss by layer says: the claim that it falls gradually, tables and sentences."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from companion.evidence.claims import Claim, Measurement
from companion.evidence.judging import of
from companion.evidence.probes.scope import (
    FEWEST_MIDDLE,
    by_kind,
    judge_probes,
    with_a_middle,
)
from companion.probing.quantities import LOGIT
from companion.probing.summaries import (
    depth,
    falling_share,
    middle_loss,
    middle_mean,
    own_loss,
    participation,
    profile,
)
from companion.statistics.intervals import Interval

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

LENS_NAMES = {"": "Read through the last block", LOGIT: "Read directly"}
LAYER_COLUMNS = (
    *("norm", "theta", "theta_dh", "theta_end", "projection"),
    *("cross_entropy", "cross_entropy_logit", "loss_removed"),
)


def loss_claims(datasets: Mapping[str, xr.Dataset], generator: np.random.Generator) -> list[Claim]:
    """The paper's claim by its own lens and by the logit lens, and whether either reads anything.

    Of pretrained models and of a ladder apart, since these are different claims.
    """
    return [
        claim
        for those in by_kind(datasets).values()
        for claim in (
            *(loss_falls_gradually(those, generator, lens) for lens in LENS_NAMES),
            lens_beats_a_guess(those),
        )
    ]


def loss_falls_gradually(
    datasets: Mapping[str, xr.Dataset], generator: np.random.Generator, lens: str = ""
) -> Claim:
    """Loss through a lens falls in most layers, and middle layers share its fall.

    Two things can contradict it, in any model: that fewer than nine tenths of the layers lower
    the loss, or that its participation among the middle layers is below 1/2, where k steps among
    n layers give k/n.

    Parameters
    ----------
    datasets : mapping of name to dataset
        All of a ladder, or none.
    generator : numpy.random.Generator
        For the intervals of the participations.
    lens : str
        "" for the paper's last-block lens, "_logit" for the logit lens.
    """
    readable = {
        name: d
        for name, d in with_a_middle(datasets).items()
        if f"loss_removed{lens}" in d and len(middle_loss(d, lens)[0]) >= FEWEST_MIDDLE
    }
    return judge_probes(
        f"loss-falls-gradually{lens.replace('_', '-')}",
        readable or datasets,
        [m for name, d in readable.items() for m in _gradual(name, d, generator, lens)],
        f"no model has {FEWEST_MIDDLE} middle layers that this lens can read",
    )


def _gradual(
    name: str, dataset: xr.Dataset, generator: np.random.Generator, lens: str
) -> list[Measurement]:
    _, removed, sem = middle_loss(dataset, lens)
    share, fall = falling_share(dataset, lens), participation(removed, sem, generator)
    return [
        of(share, f"share of layers that lower the loss, {name}", "falling"),
        of(fall, f"participation in the fall, {name}", "participation"),
    ]


def lens_beats_a_guess(datasets: Mapping[str, xr.Dataset]) -> Claim:
    """Loss read from the middle layers at most ln V, that of a uniform guess over the vocabulary.

    Where it is more, what falls by layer is no prediction's loss, and a gradual fall says little.
    """
    measurements = [
        of(above_guess(d, lens), f"{how.lower()}, loss above a guess (nats/token), {name}")
        for name, d in datasets.items()
        for lens, how in LENS_NAMES.items()
        if f"cross_entropy{lens}" in d
    ]
    otherwise = "no model was read through a lens"
    return judge_probes("lens-beats-a-guess", datasets, measurements, otherwise)


def above_guess(dataset: xr.Dataset, lens: str = "") -> Interval:
    """Mean loss read from the middle layers less ln V, nats per token; positive: worse."""
    middle, guess = middle_mean(dataset, f"cross_entropy{lens}"), math.log(dataset.attrs["V"])
    bounds = {name: getattr(middle, name) - guess for name in ("estimate", "low", "high")}
    return replace(middle, **bounds)


def lens_sentence(dataset: xr.Dataset) -> str:
    """What either lens reads from the middle layers beside a uniform guess, in words."""
    guess = math.log(dataset.attrs["V"])
    lenses = [s for s in LENS_NAMES if f"cross_entropy{s}" in dataset]
    sentences = [
        f"{LENS_NAMES[s]}, the middle layers of {dataset.attrs['model']} give "
        f"{guess + above_guess(dataset, s).estimate:.2f} nats per token, "
        f"{against_guess(dataset, s)}."
        for s in lenses
    ]
    return " ".join([*sentences, f"A uniform guess costs ln V = {guess:.2f}."])


def against_guess(dataset: xr.Dataset, lens: str = "") -> str:
    """Whether a lens reads the middle layers better than a uniform guess does, in words."""
    away = above_guess(dataset, lens)
    if away.low > 0:
        return "worse than a uniform guess"
    return "better than a uniform guess" if away.high < 0 else "no different from a uniform guess"


@dataclass(frozen=True)
class LossNumbers:
    """Losses in nats per token: of the first state by either lens, the model's own, a guess's."""

    first: float
    logit_first: float
    own: float
    uniform: float

    @classmethod
    def of(cls, dataset: xr.Dataset) -> LossNumbers:
        """Those of a probe with both lenses."""
        first, logit_first = (profile(dataset, f"cross_entropy{s}")[0] for s in LENS_NAMES)
        return cls(first, logit_first, own_loss(dataset).estimate, math.log(dataset.attrs["V"]))


def by_layer(dataset: xr.Dataset) -> pd.DataFrame:
    """Means of the main quantities, one row a layer; NaN where a layer has no value."""
    import pandas as pd

    columns = {q: profile(dataset, q) for q in LAYER_COLUMNS if q in dataset}
    return pd.DataFrame(columns).rename_axis("layer").round(3)


def certificate(dataset: xr.Dataset) -> pd.DataFrame:
    """What was certified about the model before its probe, one row a check."""
    import pandas as pd

    record = json.loads(dataset.attrs["certificate"])
    return pd.DataFrame({"result": {key: str(value) for key, value in record.items()}})


def loss_sentence(datasets: Mapping[str, xr.Dataset]) -> str:
    """The models' own losses, shallowest first, in words."""
    ranked = sorted(datasets.values(), key=depth)
    listed = ", ".join(f"{own_loss(d).estimate:.3f} ({depth(d)} blocks)" for d in ranked)
    return f"Own losses in nats per token, by depth: {listed}."


def origin_of_probe(dataset: xr.Dataset) -> str:
    """Where and on what a stored probe was measured, in words."""
    about, stamp = dataset.attrs, json.loads(dataset.attrs["provenance"])[0]
    share = f", the lenses at {100 * about['lens_fraction']:.2g} % of them"
    return (
        f"{about['model']} ({depth(dataset)} blocks), {about['tokens']:,} tokens of "
        f"{about['corpus_name']}{share if about['lens'] != 'none' else ''}, on {about['device']}, "
        f"{stamp['time'][:10]}, commit {stamp['commit']}."
    )
