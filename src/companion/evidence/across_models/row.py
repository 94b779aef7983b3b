"""One model as one row of numbers, out of its probe and its disturbed blocks.

Probing and interventions know nothing of one another; here their numbers meet. Whatever a model
or a file does not have is None in its row, never zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from companion.evidence.calibration.statistics import read_ablation, read_probe
from companion.evidence.probes.depth_report import outliers
from companion.interventions.costs import by_documents, gain_of_depth, ratio, share
from companion.probing.beside.resampling import (
    FEWEST_KEPT,
    LENSES,
    cosine_kept,
    known_loss,
    lag_cosines,
    loss_evenness,
    middle_share,
    worse_than_guessing,
)
from companion.probing.summaries import evenness, middle_layers, middle_mean, own_loss, profile
from companion.statistics.intervals import Interval

if TYPE_CHECKING:
    import xarray as xr

LADDER, REAL, UNTRAINED = "ladder", "real", "untrained"
FEWEST_BLOCKS = 4
"""Below this a network has no middle: disturbed blocks are its ends."""


@dataclass(frozen=True)
class LensNumbers:
    """What one lens reads of the loss.

    Parameters
    ----------
    worse : Interval
        Share of the layers whose lens reads more than the uniform guess ln V.
    share : Interval or None
        Loss that the middle layers remove, as a share of what the model knows beyond a uniform
        guess; None where it does not surely know anything.
    evenness : Interval or None
        Signed participation of the loss removed by each middle layer; None as above.
    """

    worse: Interval | None
    share: Interval | None
    evenness: Interval | None


@dataclass(frozen=True)
class Row:
    """One model in numbers; intervals are 95 %, over documents.

    Parameters
    ----------
    name : str
    kind : str
        `LADDER`, `REAL`, or `UNTRAINED` (random weights).
    ell, m, tokens, documents : int
        Blocks, channels, tokens read, clusters of documents.
    family, corpus : str
    loss : Interval or None
        Own loss, nats per token.
    rotation : Interval
        Mean rotation of a middle block, radians.
    evenness : Interval
        Participation of the middle rotations.
    cosines : ndarray, shape (3, lags)
        Mean cosine of middle updates by distance: estimate, low, high.
    kept : Interval or None
        What of the neighbours' cosine is left half of the middle apart; None in a short middle.
    lenses : mapping of lens to LensNumbers
    skip : Interval or None
        Cost of skipping a middle block in equal shares of what all blocks gain.
    swap, parallel : Interval or None
        Cost of swapping, of running side by side two middle blocks, over that of skipping one.
    outliers : tuple of (layer, ratio)
        Blocks that turn the state by at least twice the middle median.
    calibrated : mapping of name to float
        All statistics of `companion.evidence.calibration` that can be read of the model.
    """

    name: str
    kind: str
    family: str
    ell: int
    m: int
    tokens: int
    documents: int
    corpus: str
    loss: Interval | None
    rotation: Interval
    evenness: Interval
    cosines: np.ndarray
    kept: Interval | None
    lenses: Mapping[str, LensNumbers]
    skip: Interval | None
    swap: Interval | None
    parallel: Interval | None
    outliers: tuple[tuple[int, float], ...]
    calibrated: Mapping[str, float] = field(default_factory=dict)

    @property
    def turns(self) -> Interval:
        """Mean middle rotation times the number of blocks, radians."""
        r, ell = self.rotation, self.ell
        return Interval(ell * r.estimate, ell * r.low, ell * r.high, ell * r.stderr)

    def share_through(self, lens: str) -> Interval | None:
        """Share of what the model knows that the middle adds, read through a lens."""
        return self.lenses[lens].share if lens in self.lenses else None

    @property
    def cosine(self) -> Interval | None:
        """Mean cosine of neighbouring middle updates."""
        if not self.cosines.shape[1]:
            return None
        estimate, low, high = (float(x) for x in self.cosines[:, 0])
        return Interval(estimate, low, high, method="document bootstrap")


def row(
    name: str,
    probe: xr.Dataset,
    generator: np.random.Generator,
    kind: str = REAL,
    disturbed: xr.Dataset | None = None,
) -> Row:
    """The row of a model.

    Parameters
    ----------
    name : str
    probe : xarray.Dataset
        From `companion.probing.probe`.
    generator : numpy.random.Generator
        For what is resampled.
    kind : str
    disturbed : xarray.Dataset, optional
        From `companion.interventions.ablate`, of the same model.
    """
    ell = int(probe.attrs["ell"])
    middle = middle_layers(ell)
    theta = profile(probe, "theta")[:ell]
    skip, swap, parallel = _costs(disturbed, generator)
    return Row(
        name=name,
        kind=kind,
        family=str(probe.attrs["family"]),
        ell=ell,
        m=int(probe.attrs["m"]),
        tokens=int(probe.attrs["tokens"]),
        documents=int(probe.attrs["clusters"]),
        corpus=str(probe.attrs["corpus_name"]),
        loss=own_loss(probe) if "cross_entropy" in probe else None,
        rotation=middle_mean(probe),
        evenness=evenness(probe, generator),
        cosines=lag_cosines(probe, generator),
        kept=cosine_kept(probe, generator) if len(middle) >= FEWEST_KEPT else None,
        lenses=_lenses(probe, generator),
        skip=skip,
        swap=swap,
        parallel=parallel,
        outliers=outliers(theta, middle),
        calibrated=read_probe(probe) | (read_ablation(disturbed) if disturbed else {}),
    )


def _lenses(probe: xr.Dataset, generator: np.random.Generator) -> dict[str, LensNumbers]:
    lenses = {}
    for lens, suffix in LENSES.items():
        if f"cross_entropy{suffix}" not in probe:
            continue
        knows = known_loss(probe, lens, generator).low > 0
        parts = (middle_share, loss_evenness)
        numbers = [part(probe, lens, generator) if knows else None for part in parts]
        lenses[lens] = LensNumbers(worse_than_guessing(probe, lens, generator), *numbers)
    return lenses


def _costs(
    disturbed: xr.Dataset | None, generator: np.random.Generator
) -> tuple[Interval | None, Interval | None, Interval | None]:
    """Skip in equal shares, swap / skip, parallel / skip; None where blocks gain nothing."""
    if disturbed is None or disturbed.attrs["ell"] < FEWEST_BLOCKS:
        return None, None, None
    gain = by_documents(lambda w: gain_of_depth(disturbed, w), disturbed, generator)
    if gain.low <= 0:
        return None, None, None
    kinds = ("swap", "parallel")
    swap, parallel = (
        ratio(disturbed, k, generator) if k in disturbed.kind else None for k in kinds
    )
    return share(disturbed, generator), swap, parallel
