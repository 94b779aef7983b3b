"""Whether the effective depth exponent is about one throughout a training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from companion.evidence.claims import Claim, Measurement
from companion.evidence.judging import judge

if TYPE_CHECKING:
    import pandas as pd


def inverse_throughout(stages: pd.DataFrame, scope: Mapping[str, str]) -> Claim:
    """The effective exponent is about one at the first and at the last of `stages`.

    Parameters
    ----------
    stages : DataFrame
        As `effective_exponents` gives it.
    scope : mapping
        Models, data and size, for the claim's box.
    """
    ends = [(stages.index[i], *map(float, stages.iloc[i])) for i in (0, -1)]
    unknown = bool(np.isnan(np.array(ends, float)).any())
    return judge(
        "apparent-exponent-through-training",
        [] if unknown else [Measurement(f"exponent at {D:,} tokens", *span) for D, *span in ends],
        scope,
        data="ladder",
        reason="deeper models are not better at one of the stages" if unknown else "",
        size=len(stages),
    )
