"""A calibration in tables and names: what each statistic is worth, who is called what."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from companion.evidence.calibration.verdict import classes, listed, passes, separates

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


def table(study: xr.Dataset) -> pd.DataFrame:
    """One row a statistic: for each pair the AUC's range over depths, and where it passed."""
    import pandas as pd

    rows = {}
    for name in study["statistic"].values:
        good = separates(str(name), study)
        cells = {}
        for pair in study["pair"].values:
            area = study["auc"].sel(statistic=name, pair=pair).values
            area = np.maximum(area, 1 - area)
            known = area[np.isfinite(area)]
            worth = f"{known.min():.2f} to {known.max():.2f}" if len(known) else "no values"
            cells[str(pair)] = f"{worth}{' *' if classes(pair) in good else ''}"
        rows[str(name)] = cells
    return pd.DataFrame.from_dict(rows, orient="index")


def confusion(study: xr.Dataset, names: Sequence[str], passed: bool = True) -> pd.DataFrame:
    """How many networks of each class are called what, by cuts of teachers other than their own.

    Parameters
    ----------
    study : xarray.Dataset
    names : sequence of str
        Statistics that decide together: a class is excluded by each pair in which it loses.
    passed : bool
        Whether statistics speak only on those pairs for which they passed.
    """
    import pandas as pd

    every = [classes(pair) for pair in study["pair"].values]
    lost = {one: np.zeros(study.sizes["network"], bool) for one in map(str, study["truth"].values)}
    for name in names:
        for pair in separates(name, study) if passed else every:
            side = study["side"].sel(statistic=name, pair=" | ".join(pair)).values
            lost[pair[0]] |= side == 1
            lost[pair[1]] |= side == 0
    left = ~np.array(list(lost.values()))
    called = np.where(left.sum(0) == 1, np.array(list(lost))[left.argmax(0)], "undecided")
    counted = (study["side"] >= 0).any(["statistic", "pair"]).values
    found = pd.crosstab(study["regime"].values[counted], called[counted])
    return found.reindex(index=list(lost), columns=[*lost, "undecided"], fill_value=0)


def summary(study: xr.Dataset) -> dict[str, str | int]:
    """Names for a chapter's prose: how many networks, which statistics passed what."""
    regime = study["regime"].values
    names = [str(name) for name in study["statistic"].values]
    full = [name for name in names if passes(name, study=study)]
    some = [name for name in names if separates(name, study) and name not in full]
    stamp = json.loads(study.attrs["provenance"])
    return {
        "networks": len(regime),
        "fewest": min(int((regime == one).sum()) for one in study["truth"].values),
        "passing": listed(full) or "none",
        "partly": listed(some) or "none",
        "failing": listed([n for n in names if not separates(n, study)]) or "none",
        "when": stamp["time"][:10],
    }
