"""What is measured: each quantity's name, unit, meaning, number of layers and bins."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from companion.statistics.streaming import Bins

Lens = Literal["last_block", "logit", "both", "none"]
LENSES = get_args(Lens)
LOGIT = "_logit"


@dataclass(frozen=True)
class Quantity:
    """One per-token quantity.

    Parameters
    ----------
    name, unit, meaning : str
    low, high : float
        Ends of the bins, in the unit; one open bin beyond each.
    logarithmic : bool
        Bins of equal width in the logarithm.
    missing_layers : int or None
        Layers 0 .. ell - missing_layers have a value; None: one value for the whole path.
    """

    name: str
    unit: str
    meaning: str
    low: float
    high: float
    logarithmic: bool = False
    missing_layers: int | None = 0

    def layers(self, ell: int) -> int:
        """How many rows it fills in a model of ell blocks."""
        return 1 if self.missing_layers is None else ell + 1 - self.missing_layers

    def resolution(self, number: int) -> str:
        """Width of a bin in words: the stated error of the quantiles."""
        if self.logarithmic:
            return f"{100 * (math.log(self.high / self.low) / number):.2g} % of the value"
        width = f"{(self.high - self.low) / number:.2g}"
        return width if self.unit == "1" else f"{width} {self.unit}"


def _length(name: str, meaning: str, missing_layers: int) -> Quantity:
    return Quantity(name, "1", meaning, 1e-4, 1e6, True, missing_layers)


def _angle(name: str, meaning: str, missing_layers: int | None) -> Quantity:
    return Quantity(name, "rad", meaning, 0.0, math.pi, False, missing_layers)


GEOMETRY = (
    _length("norm", "|h_l|, length of the raw state", 0),
    _length("update_norm", "|dh_l|, length of the update of block l + 1", 1),
    _angle("theta", "angle between h_l and h_{l+1}", 1),
    _angle("theta_dh", "angle between dh_l and dh_{l+1}", 2),
    _angle("theta_end", "angle between h_l and h_ell", 1),
    Quantity("projection", "1", "<h_l - h_0, h_ell - h_0> / |h_ell - h_0|^2", -2.0, 3.0),
    Quantity("curvature", "rad", "turning per length of path, rad/norm", 1e-6, 1e4, True, 2),
    Quantity("straightness", "1", "|h_ell - h_0| over the length of the path", 0, 1, False, None),
    _angle("theta_middle", "mean of theta over the middle half of the blocks", None),
)
PARTS = (
    _length("attention_norm", "length of the attention part of the update", 1),
    _length("mlp_norm", "length of the feed-forward part of the update", 1),
)


def lens_quantities(lens: str) -> tuple[Quantity, ...]:
    """The quantities of a lens: "last_block", "logit", "both" or "none"."""
    last = _through("", 1, "last-block") if lens in ("last_block", "both") else ()
    logit = _through(LOGIT, 0, "logit") if lens in ("logit", "both") else ()
    return last + logit


def _through(suffix: str, missing_layers: int, lens: str) -> tuple[Quantity, ...]:
    nats, by = "nats/token", f"through the {lens} lens"
    return (
        Quantity(
            f"cross_entropy{suffix}", nats, f"cross-entropy {by}", 1e-6, 1e3, True, missing_layers
        ),
        Quantity(f"entropy{suffix}", nats, f"entropy {by}", 1e-6, 1e2, True, missing_layers),
        Quantity(f"kl{suffix}", nats, f"KL(final || lens) {by}", 1e-6, 1e3, True, missing_layers),
        Quantity(
            f"top1{suffix}", "1", f"agrees with the final top-1 {by}", 0, 2, False, missing_layers
        ),
        Quantity(
            f"loss_removed{suffix}",
            nats,
            f"cross-entropy at l less that at l + 1 {by}",
            -50,
            50,
            False,
            missing_layers + 1,
        ),
    )


def bins_of(quantities: Iterable[Quantity], ell: int) -> Bins:
    """The bins of every row (quantity, layer), quantities one after the other."""
    rows = [q for q in quantities for _ in range(q.layers(ell))]
    low, high = (np.array([getattr(q, end) for q in rows], float) for end in ("low", "high"))
    return Bins(low, high, np.array([q.logarithmic for q in rows], bool))


def middle(ell: int) -> list[int]:
    """Blocks whose centre (l + 1/2)/ell lies in the middle half of the depth."""
    return [layer for layer in range(ell) if 0.25 <= (layer + 0.5) / ell <= 0.75]
