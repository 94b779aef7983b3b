"""A calibration in tables and names: what each statistic is worth, who is called what."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from companion.evidence.calibration.verdict import SIZES, WORDS, classes, listed, separates
from companion.regimes import REGIMES

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

MIXTURE = "mixture"
DEEP = 8
"""Blocks of a network, at least, whose neighbours in the middle are not its ends."""

RANKED = 0.9
"""From this rank correlation with rho, at the worst depth, a statistic orders mixtures."""


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
    counts = pd.crosstab(study["regime"].values[counted], called[counted])
    return counts.reindex(index=list(lost), columns=[*lost, "undecided"], fill_value=0)


def mixtures(study: xr.Dataset) -> pd.DataFrame:
    """Median of every statistic by the share rho of the teacher's blocks that is common.

    rho = 0 are the independent and 1 the tied teachers, of the widths that mixtures have. The last
    column is the rank correlation with rho at the depth where it is weakest, or turns its sign.
    """
    import pandas as pd

    frame = _residual(study)
    names = [str(name) for name in study["statistic"].values]
    medians = frame.groupby("rho")[names].median().T
    weakest = {}
    for name in names:
        groups = (one.loc[:, [name, "rho"]] for _, one in frame.groupby("ell"))
        ranks = [float(one.corr("spearman").to_numpy()[0, 1]) for one in groups]
        same = min(ranks) > 0 or max(ranks) < 0
        weakest[name] = min(map(abs, ranks)) if same else 0.0
    return medians.assign(**{"rank correlation": pd.Series(weakest)}).round(3)


def _residual(study: xr.Dataset) -> pd.DataFrame:
    """Students of residual teachers, of the widths that mixtures have: statistics, rho, depth."""
    regime = study["regime"].values
    widths = np.unique(study["m"].values[regime == MIXTURE])
    kinds = ("ensemble", "procedural", MIXTURE)
    students = study.isel(network=np.isin(regime, kinds) & np.isin(study["m"].values, widths))
    frame = students["value"].transpose("network", "statistic").to_pandas()
    return frame.assign(rho=students["rho"].values, ell=students["ell"].values)


def summary(study: xr.Dataset) -> dict[str, str | int]:
    """Names and sentences for a chapter's prose."""
    regime = study["regime"].values
    names = [str(name) for name in study["statistic"].values]
    stamp = json.loads(study.attrs["provenance"])
    pairs = {pair: told_apart(study, pair) for pair in combinations(REGIMES, 2)}
    open_pairs = [pair for pair, passed in pairs.items() if not passed]
    speak = {name for passed in pairs.values() for name in passed}
    silent = listed([name for name in names if name not in speak and name not in SIZES])
    word = "No" if len(open_pairs) == len(pairs) else "In part" if open_pairs else "Yes"
    verdict = " ".join(_pair_words(pair, passed) for pair, passed in pairs.items())
    return {
        "networks": len(regime),
        "fewest": min(int((regime == one).sum()) for one in study["truth"].values),
        "answer": f"{word}. {verdict}",
        "verdict": verdict,
        "failed": f"Between no two trained regimes passed: {silent or 'none of them'}.",
        "confused": _confused(study, names),
        "mixed": _mixed(study),
        "quadratic": _quadratic(study),
        "even": _even(study),
        "when": stamp["time"][:10],
    }


def told_apart(study: xr.Dataset, pair: tuple[str, str]) -> list[str]:
    """The statistics that passed between two classes."""
    names = [str(name) for name in study["statistic"].values]
    return [name for name in names if pair in separates(name, study)]


def _pair_words(pair: tuple[str, str], passed: Sequence[str]) -> str:
    first, second = (WORDS[one] for one in pair)
    if not passed:
        return f"Nothing that was tried tells {first} from {second} at every depth."
    return f"Between {first} and {second} passed: {listed(passed)}."


def _confused(study: xr.Dataset, names: Sequence[str]) -> str:
    """How many of each class all statistics that passed call by their name, in words."""
    table = confusion(study, names)
    counts = []
    for one in table.index:
        wrong = table.loc[one].sum() - table.loc[one, one] - table.loc[one, "undecided"]
        counts.append(
            f"{WORDS[str(one)]}: {table.loc[one, one]} of {table.loc[one].sum()} right, "
            f"{table.loc[one, 'undecided']} undecided, {wrong} wrong"
        )
    return f"All that passed together: {'; '.join(counts)}."


def _mixed(study: xr.Dataset) -> str:
    """Whether a share of a mixture can be read off, in words."""
    if MIXTURE not in study["regime"].values:
        return "This calibration has no mixtures."
    ranks = mixtures(study)["rank correlation"].drop(list(SIZES), errors="ignore")
    best, value = str(ranks.idxmax()), ranks.to_numpy(float).max()
    can = value >= RANKED
    said = "so that it orders mixtures" if can else "so that no statistic measures a share here"
    return (
        f"The statistic that follows rho best at its worst depth is the {best}, with a rank "
        f"correlation of {value:.2f}; {RANKED:g} was asked for, {said}."
    )


def _quadratic(study: xr.Dataset) -> str:
    """Average / skip over what the quadratic argument predicts, by class, in words."""
    if not {"average / skip", "neighbour cosine"} <= set(study["statistic"].values):
        return "This calibration has not measured it."
    deep = study.isel(network=study["ell"].values >= DEEP)
    value = deep["value"]
    cosine = value.sel(statistic="neighbour cosine")
    ratio = (value.sel(statistic="average / skip") / (1.5 * (1 - cosine))).to_series()
    groups = ratio.dropna().groupby(deep["regime"].to_series())
    ratios = [
        f"{WORDS.get(str(one), str(one))} {some.median():.2f} (half of the networks between "
        f"{some.quantile(0.25):.2f} and {some.quantile(0.75):.2f})"
        for one, some in groups
    ]
    return f"Measured over predicted, in networks of {DEEP} blocks or more: {'; '.join(ratios)}."


def _even(study: xr.Dataset) -> str:
    """The median evenness of every class, and which class turns most evenly."""
    if "evenness of rotation" not in study["statistic"].values:
        return "this calibration has not measured it"
    even = study["value"].sel(statistic="evenness of rotation").to_series()
    medians = even.groupby(study["regime"].to_series()).median()
    first, last = str(medians.idxmax()), str(medians.idxmin())
    return (
        f"the medians run from {medians[last]:.2f} ({WORDS.get(last, last)}) to "
        f"{medians[first]:.2f} ({WORDS.get(first, first)})"
    )


def checked(live: xr.Dataset, study: xr.Dataset) -> str:
    """Whether students trained now lie where the stored ones do, in words."""
    inside, known = 0, 0
    for name in study["statistic"].values:
        values = live["value"].sel(statistic=name).values
        values = values[np.isfinite(values)]
        low, high = (float(study[end].sel(statistic=name)) for end in ("low", "high"))
        inside, known = (
            inside + int(((values >= low) & (values <= high)).sum()),
            known + len(values),
        )
    return (
        f"Of {known} values of the {live.sizes['network']} networks read live, {inside} lie within "
        f"the range of the stored ones ({known - inside} outside)."
    )
