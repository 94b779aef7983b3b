"""Models side by side: the ladder, real models and untrained twins, a row of numbers each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from companion.evidence.across_models.row import FEWEST_BLOCKS, LADDER, REAL, UNTRAINED, Row, row
from companion.probing.beside.twins import Twins
from companion.probing.compare_models import short_name
from companion.statistics.intervals import Interval

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Comparison:
    """Rows of real models, of the ladder beside them, and of untrained twins.

    Parameters
    ----------
    real : tuple of Row
        One a model: its stored run where there is one, else the live one.
    ladder : tuple of Row
    untrained : mapping of name to Row
        Under the name of the trained twin.
    live : mapping of name to Row
        Live runs of models that have a stored one too: its check.
    missing : mapping of name to str
        Models that could not be had, and why.
    probes, disturbed : mapping of name to Dataset
        Of the models, what the rows are made of.
    """

    real: tuple[Row, ...]
    ladder: tuple[Row, ...]
    untrained: Mapping[str, Row]
    live: Mapping[str, Row]
    missing: Mapping[str, str]
    probes: Mapping[str, xr.Dataset]
    disturbed: Mapping[str, xr.Dataset]

    @property
    def rows(self) -> list[Row]:
        """Every model, each followed by its untrained twin."""
        trained = [*self.ladder, *self.real]
        beside = [[r, self.untrained.get(r.name)] for r in trained]
        return [r for pair in beside for r in pair if r is not None]

    @property
    def with_middle(self) -> list[Row]:
        """The ladder's models that have a middle."""
        return [r for r in self.ladder if r.ell >= FEWEST_BLOCKS]


KINDS = ("skip", "swap", "parallel")
"""What is done to blocks, for a row."""

STATISTICS: dict[str, Callable[[Row], Interval | None]] = {
    "rotation times blocks": lambda r: r.turns,
    "evenness": lambda r: r.evenness,
    "cosine of neighbours": lambda r: r.cosine,
    "middle share, last-block lens": lambda r: r.share_through("last-block lens"),
    "middle share, logit lens": lambda r: r.share_through("logit lens"),
    "skip / equal share": lambda r: r.skip,
    "swap / skip": lambda r: r.swap,
    "parallel / skip": lambda r: r.parallel,
}
"""What is compared across models, by the name that tables and figures use."""


def compare(
    ladder: Twins,
    live: Twins,
    kept: Twins,
    generator: np.random.Generator,
    disturbed: Mapping[str, xr.Dataset] | None = None,
) -> Comparison:
    """Put the ladder, live real models and stored ones side by side.

    Parameters
    ----------
    ladder, live, kept : Twins
        Probes with both lenses; `kept` are the stored ones.
    generator : numpy.random.Generator
    disturbed : mapping of name to Dataset, optional
        From `companion.interventions.ablate`, stored or live, by name.
    """
    untrained = {**ladder.untrained, **live.untrained, **kept.untrained}
    fresh = {n: probe for n, probe in live.trained.items() if n not in kept.trained}
    real = dict(sorted({**kept.trained, **fresh}.items(), key=lambda i: int(i[1].attrs["ell"])))
    disturbed = {short_name(n): ablation for n, ablation in (disturbed or {}).items()}
    again = {n: probe for n, probe in live.trained.items() if n in kept.trained}
    absent = {**kept.missing, **live.missing}
    return Comparison(
        real=tuple(rows(real, generator, REAL, disturbed)),
        ladder=tuple(rows(ladder.trained, generator, LADDER, disturbed)),
        untrained={r.name: r for r in rows(untrained, generator, UNTRAINED)},
        live={r.name: r for r in rows(again, generator)},
        missing={name: why for name, why in absent.items() if name not in real},
        probes={**ladder.trained, **real},
        disturbed=disturbed,
    )


def rows(
    probes: Mapping[str, xr.Dataset],
    generator: np.random.Generator,
    kind: str = REAL,
    disturbed: Mapping[str, xr.Dataset] | None = None,
) -> list[Row]:
    """The rows of several models of one kind, in their order."""
    disturbed = disturbed or {}
    return [row(n, probe, generator, kind, disturbed.get(n)) for n, probe in probes.items()]
