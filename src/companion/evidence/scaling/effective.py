"""Whether the effective depth exponent is about one throughout a training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

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
    ends = stages.iloc[[0, -1]]
    unknown = bool(ends.isna().to_numpy().any())
    measured = [
        Measurement(f"exponent at {D:,} tokens", estimate, low, high)
        for D, estimate, low, high in ends.itertuples()
        if not unknown
    ]
    return judge(
        "apparent-exponent-through-training",
        measured,
        scope,
        data="ladder",
        reason="deeper models are not better at one of the stages" if unknown else "",
        size=len(stages),
    )
