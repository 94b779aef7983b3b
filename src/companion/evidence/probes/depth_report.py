"""A reasoned reading of one probe: numbers first, then the sentences that follow from them.

Every sentence is computed; the thresholds are named here and nowhere else. They describe; which
regimes remain possible is said by the statistics that passed in `calibration`, and by no others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from companion.evidence.calibration import quantised
from companion.evidence.calibration.statistics import read_probe
from companion.evidence.calibration.verdict import Verdict, passes, verdict_for
from companion.evidence.probes.scope import FEWEST_MIDDLE
from companion.probing.summaries import (
    degrees,
    depth,
    estimates,
    evenness,
    middle_layers,
    middle_loss,
    middle_mean,
    participation,
    profile,
    update_cosine,
)
from companion.statistics.intervals import Interval, around

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

EVEN = 0.5
"""From this participation on, rotations are called evenly spread: half the layers or more act."""

STRONG = 0.5
"""From this mean cosine on, updates are called strongly correlated: they are within 60 degrees."""

WEAK = 0.25
"""Below this mean cosine in size, updates are called weakly correlated."""

OUTLYING = 2.0
"""A layer stands out if it turns the state by this many times the middle layers' median."""

DESCRIBED_BY = ("evenness of rotation", "neighbour cosine")
"""The calibrated names of what `Reading.regime` looks at."""

REGIMES = {
    "ensemble": "ensemble averaging: many small, alike, weakly correlated steps",
    "procedural": "procedural assembly: a smooth path, each update much like the one before",
    "compositional": "compositional assembly: few layers do most of the turning",
    "between": "between ensemble averaging and procedural assembly: even steps, correlated in part",
    "opposed": "none of the three: even steps that partly undo one another",
    "shallow": "undecided: too few middle layers to tell even steps from stages",
}


@dataclass(frozen=True)
class Reading:
    """What one probe says about how a network uses its depth.

    Parameters
    ----------
    model : str
    ell : int
    rotation : Interval
        Mean rotation of the middle layers, radians.
    evenness : Interval
        Participation of the middle layers' rotations, in (0, 1].
    correlation : Interval or None
        Mean cosine of consecutive middle updates; None with a single middle layer.
    far : Interval or None
        The same for middle updates that lie half as many layers apart as there are; None with
        no more than `FEWEST_MIDDLE` middle layers.
    outliers : tuple of (layer, ratio)
        Layers whose rotation is at least `OUTLYING` times the middle median.
    removed : tuple of (layer, Interval)
        Mean loss removed by each layer through the last-block lens, nats per token; empty without
        a lens.
    loss_evenness : Interval or None
        Participation of the loss removed by the middle layers.
    verdict : Verdict
        Which regimes the calibrated statistics leave possible.
    rounded : str
        What the error of quantised weights does to that, in words; empty where it is not known.
    """

    model: str
    ell: int
    rotation: Interval
    evenness: Interval
    correlation: Interval | None
    far: Interval | None
    outliers: tuple[tuple[int, float], ...]
    removed: tuple[tuple[int, Interval], ...]
    loss_evenness: Interval | None
    verdict: Verdict
    rounded: str = ""

    @property
    def regime(self) -> str:
        """What the path looks like, a key of `REGIMES`: a description, and no verdict."""
        if len(middle_layers(self.ell)) < FEWEST_MIDDLE or self.correlation is None:
            return "shallow"
        if self.evenness.estimate < EVEN:
            return "compositional"
        cosine = self.correlation.estimate
        if cosine >= STRONG:
            return "procedural"
        if abs(cosine) < WEAK:
            return "ensemble"
        return "between" if cosine > 0 else "opposed"

    @property
    def sentences(self) -> tuple[str, ...]:
        """The reading in words, one sentence a finding."""
        parts = (self._rotation(), self._correlation(), self._outliers(), *self.loss)
        looks = f"By evenness and correlation alone it looks like {REGIMES[self.regime]}"
        alone = "" if self.verdict.silence else "No block was disturbed for this."
        summary = " ".join(filter(None, (self.verdict.sentence, alone, self.rounded)))
        return (*parts, f"{summary} {looks}; {self._standing}.")

    @property
    def _standing(self) -> str:
        """What this description is worth."""
        if self.verdict.silence:
            return "this describes its path and decides nothing"
        good = all(passes(name) for name in DESCRIBED_BY)
        return "both passed in calibration" if good else "in calibration that does not decide"

    def _rotation(self) -> str:
        n = len(middle_layers(self.ell))
        how = "evenly spread over" if self.evenness.estimate >= EVEN else "concentrated in few of"
        return (
            f"Each of the {n} middle layers turns the residual stream by {self.rotation:.3f} rad "
            f"on average; these rotations are {how} the middle layers "
            f"(participation {self.evenness:.2f}, 1 is perfectly even)."
        )

    def _correlation(self) -> str:
        if self.correlation is None:
            return "There is a single middle layer, so no two middle updates can be compared."
        near = (
            f"Consecutive middle updates are {strength(self.correlation.estimate)} "
            f"(mean cosine {self.correlation:.2f})"
        )
        if self.far is None:
            return f"{near}."
        fades = self.far.high < self.correlation.low
        how = "it falls with distance" if fades else "it does not fall with distance"
        apart = len(middle_layers(self.ell)) // 2
        return f"{near}; {apart} layers apart the mean cosine is {self.far:.2f}: {how}."

    def _outliers(self) -> str:
        if not self.outliers:
            return f"No layer turns the state by {OUTLYING:g} times the middle median or more."
        named = ", ".join(f"{layer} ({ratio:.1f} times)" for layer, ratio in self.outliers)
        return f"Layers that stand out against the middle median rotation: {named}."

    @property
    def loss(self) -> tuple[str, ...]:
        """The sentences about the loss; none without a lens."""
        if not self.removed:
            return ()
        total = sum(gain.estimate for _, gain in self.removed)
        layer, most = max(self.removed, key=lambda pair: pair[1].estimate)
        worse = [str(at) for at, gain in self.removed if gain.high < 0]
        last = self.removed[-1][0]
        layers = f"layers 0 to {last} remove" if last else "layer 0 removes"
        falls = f"Read through the last block, {layers} {total:.3f} nats per token in all"
        lowers = most.estimate > 0
        best = f"layer {layer} removes most, {most:.3f}" if lowers else "none of them lowers it"
        first = f"{falls}; {best}."
        second = f"Layers that raise this loss: {', '.join(worse)}." if worse else ""
        third = ""
        if self.loss_evenness is not None:
            third = (
                "Among the middle layers the loss removed has "
                f"participation {self.loss_evenness:.2f}."
            )
        return tuple(sentence for sentence in (first, second, third) if sentence)

    def _repr_markdown_(self) -> str:
        lines = "\n".join(f"- {sentence}" for sentence in self.sentences)
        return f"**Reading of {self.model}** ({self.ell} blocks)\n\n{lines}"


def strength(cosine: float) -> str:
    """The words for a mean cosine of two updates."""
    if math.fabs(cosine) < WEAK:
        return "weakly correlated"
    if cosine < 0:
        return "opposed in part" if cosine > -STRONG else "strongly opposed"
    return "correlated in part" if cosine < STRONG else "strongly correlated"


def read(dataset: xr.Dataset, generator: np.random.Generator) -> Reading:
    """Read a probe's dataset, or that of a control.

    Parameters
    ----------
    dataset : xarray.Dataset
        From `probe`, `open` or `controls.measure`.
    generator : numpy.random.Generator
        For the intervals of the participations.
    """
    ell, model = depth(dataset), str(dataset.attrs.get("model", "unnamed"))
    n, statistics = len(middle_layers(ell)), read_probe(dataset)
    return Reading(
        model=model,
        ell=ell,
        rotation=middle_mean(dataset),
        evenness=evenness(dataset, generator),
        correlation=update_cosine(dataset) if n > 1 else None,
        far=update_cosine(dataset, n // 2) if n > FEWEST_MIDDLE else None,
        outliers=outliers(profile(dataset, "theta"), middle_layers(ell)),
        removed=_removed(dataset),
        loss_evenness=_loss_evenness(dataset, generator),
        verdict=verdict_for(statistics, ell),
        rounded=quantised.sentence(statistics, ell, model),
    )


def read_all(
    datasets: Mapping[str, xr.Dataset], generator: np.random.Generator
) -> dict[str, Reading]:
    """The reading of each dataset, under its name."""
    return {name: read(dataset, generator) for name, dataset in datasets.items()}


def table(readings: Mapping[str, Reading]) -> pd.DataFrame:
    """Readings side by side: one row each, with rotation, evenness, correlation and regime."""
    import pandas as pd

    rows = {
        name: {
            "blocks": r.ell,
            "middle rotation (rad)": r.rotation.estimate,
            "participation": r.evenness.estimate,
            "cosine of neighbours": r.correlation.estimate if r.correlation else math.nan,
            "looks like": REGIMES[r.regime].partition(":")[0],
            "leaves possible": r.verdict.words,
        }
        for name, r in readings.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").round(3)


def outliers(
    theta: np.ndarray, middle: Sequence[int] | np.ndarray
) -> tuple[tuple[int, float], ...]:
    """Layers that turn the state by at least `OUTLYING` times the median of the `middle` ones."""
    ratio = theta / np.median(theta[list(middle)])
    return tuple((int(i), float(ratio[i])) for i in np.flatnonzero(ratio >= OUTLYING))


def _removed(dataset: xr.Dataset) -> tuple[tuple[int, Interval], ...]:
    if "loss_removed" not in dataset:
        return ()
    gains, sem = estimates(dataset, "loss_removed")
    known, free = np.flatnonzero(np.isfinite(gains)), degrees(dataset)
    return tuple((int(i), around(float(gains[i]), float(sem[i]), free)) for i in known)


def _loss_evenness(dataset: xr.Dataset, generator: np.random.Generator) -> Interval | None:
    if "loss_removed" not in dataset:
        return None
    _, removed, sem = middle_loss(dataset)
    return participation(removed, sem, generator) if len(removed) >= FEWEST_MIDDLE else None
