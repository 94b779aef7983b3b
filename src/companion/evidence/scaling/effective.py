"""Whether the effective depth exponent is about one throughout a training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from companion.evidence.claims import Claim, Measurement
from companion.evidence.scaling.fit import ABOUT_ONE

if TYPE_CHECKING:
    import pandas as pd


def inverse_throughout(stages: pd.DataFrame, scope: Mapping[str, str]) -> Claim:
    """The effective exponent lies in `ABOUT_ONE` at the first and at the last of `stages`.

    Parameters
    ----------
    stages : DataFrame
        As `effective_exponents` gives it.
    scope : mapping
        Models, data and size, for the claim's box.
    """
    ends = [(stages.index[i], *map(float, stages.iloc[i])) for i in (0, -1)]
    unknown = bool(np.isnan(np.array(ends, float)).any())
    return Claim(
        "apparent-exponent-through-training",
        "The apparent depth exponent of the loss is about one from early in training on.",
        "open in the paper, which names training dynamics as a limit; our test",
        scope,
        ()
        if unknown
        else tuple(
            Measurement(f"exponent at {D:,} tokens", estimate, low, high, *ABOUT_ONE)
            for D, estimate, low, high in ends
        ),
        "deeper models are not better at one of the stages" if unknown else "",
    )
