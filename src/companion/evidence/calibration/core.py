"""The theory's core as claims and sentences: shared errors, traded shapes, seeds and rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from companion.errors import InputError
from companion.evidence.calibration.readings import scope
from companion.evidence.calibration.verdict import WORDS
from companion.evidence.claims import Claim
from companion.evidence.judging import judge, of
from companion.ladder import averaging as seeds
from companion.ladder.analysis import at_best_rate
from companion.toy.calibration import averaging, shapes

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from companion.statistics.intervals import Interval

BLOCKS, ROW = 16, 4
"""Blocks that stand side by side, and how many of them in a row, in the claim."""


def of_students(core: xr.Dataset, trade: xr.Dataset) -> list[Claim]:
    """Claims about toy students.

    Parameters
    ----------
    core, trade : xarray.Dataset
        Of `companion.toy.calibration.averaging` and `shapes`.
    """
    return [
        errors_are_own(core),
        variance_falls_inversely(core),
        hidden_units_are_what_counts(trade),
        dynamics_and_stages_need_depth(trade),
    ]


def of_language_models(losses: xr.Dataset, table: pd.DataFrame) -> list[Claim]:
    """Claims about small language models.

    Parameters
    ----------
    losses : xarray.Dataset
        Of `companion.ladder.averaging`; its longest training counts.
    table : DataFrame
        Rows of both grids, in line and side by side: ell, parallel, D, seed, learning_rate, loss.
    """
    loss = longest(losses)
    met = {"depths": loss.sizes["ell"], "seeds": _count(loss)}
    in_rows = {"seeds": table.loc[table["parallel"] == ROW, "seed"].nunique()}
    where = _trained(loss, table)
    measured = [
        (
            "core-lm-variance-inverse",
            seeds.exponent(loss),
            "exponent of what averaging removes",
            met,
        ),
        (
            "core-lm-average-as-depth",
            seeds.share_of_depth(loss),
            "gain of averaging two, over that of twice the depth",
            met,
        ),
        (
            "core-lm-blocks-side-by-side",
            side_by_side(table, ROW),
            f"share of depth's gain lost in rows of {ROW}",
            in_rows,
        ),
    ]
    return [
        judge(key, [of(interval, name)], where, data="ladder", met=needs)
        for key, interval, name, needs in measured
    ]


def longest(losses: xr.Dataset) -> xr.DataArray:
    """The losses of the longest training, (ell, subset)."""
    return losses["loss"].sel(D=losses["D"].max(), drop=True)


def side_by_side(table: pd.DataFrame, parallel: int, tuned: bool = True) -> Interval:
    """Share of depth's gain that `BLOCKS` blocks lose in rows, at the longest training.

    The rows take the best of their rates, or, where not `tuned`, that of the blocks in line.
    """
    last = table.loc[table["D"] == table["D"].max()]
    if not tuned:
        in_line = last.loc[(last["ell"] == BLOCKS) & (last["parallel"] == 1), "learning_rate"]
        same = (last["parallel"] == 1) | last["learning_rate"].isin(in_line)
        last = last.loc[same]
    return seeds.share_lost(at_best_rate(last), BLOCKS, parallel)


def errors_are_own(core: xr.Dataset) -> Claim:
    """Students of one teacher that differ in seed and data share at most half of their error."""
    deepest = int(core["ell"].max())
    correlation = averaging.correlation(core, "ensemble", deepest)
    shared = [of(correlation, f"correlation of errors at {deepest} blocks")]
    return judge("calibration-errors-are-own", shared, scope(core), data="toy")


def variance_falls_inversely(core: xr.Dataset) -> Claim:
    """The part that differs from student to student goes as 1/ell, the common part does not."""
    both, why = [], ""
    try:
        for part in ("varying", "common"):
            exponent = averaging.exponent(core, part, "ensemble")
            both.append(of(exponent, f"exponent of the {part} part", part))
    except InputError as refused:
        why = str(refused)
    return judge("calibration-variance-inverse", both, scope(core), data="toy", reason=why)


def hidden_units_are_what_counts(trade: xr.Dataset) -> Claim:
    """Averaging asks for the number of estimates: depth and width of blocks have one exponent."""
    difference = shapes.exponents(trade, "ensemble")["difference"]
    units = [of(difference, "exponent of depth minus that of hidden units")]
    return judge("calibration-averaging-counts-units", units, scope(trade), data="toy")


def dynamics_and_stages_need_depth(trade: xr.Dataset) -> Claim:
    """The other two regimes ask for depth: its exponent is the larger one."""
    both = [
        of(shapes.exponents(trade, r)["difference"], f"the same, {WORDS[r]}")
        for r in ("procedural", "compositional")
    ]
    return judge("calibration-others-need-depth", both, scope(trade), data="toy")


def words(
    core: xr.Dataset, trade: xr.Dataset, losses: xr.Dataset, table: pd.DataFrame
) -> dict[str, str]:
    """Sentences of the chapter, by name; the arguments are those of the claims."""
    loss = longest(losses)
    shared, count = averaging.correlation(core, "ensemble", _deepest(core)), _count(loss)
    falls, worth = seeds.exponent(loss), seeds.share_of_depth(loss)
    lost = {row: side_by_side(table, row) for row in _rows(table)}
    alike = {row: side_by_side(table, row, tuned=False) for row in _rows(table)}
    listed, at_one_rate = (
        ", ".join(f"{share:.2f} in rows of {row}" for row, share in shares.items())
        for shares in (lost, alike)
    )
    return {
        "answer": (
            f"Two students of one independent teacher share {shared.estimate:.0%} of their error "
            f"at {_deepest(core)} blocks, [{shared.low:.2f}, {shared.high:.2f}]. In small language "
            f"models what differs from seed to seed falls with depth with an exponent of "
            f"{falls:.2f}, where averaging over layers says 1; {BLOCKS} blocks in rows of {ROW} "
            f"{_compared(lost[ROW])}."
        ),
        "shared": f"Correlation of the errors of two students at {_deepest(core)} blocks: "
        f"{'; '.join(_correlations(core))}.",
        "parts": " ".join(_parts(core, r) for r in _regimes(core)),
        "traded": f"Exponents: {'; '.join(_planes(trade))}.",
        "seeds": (
            f"The part that differs from seed to seed falls with an exponent of {falls:.2f} over "
            f"{count} seeds. Averaging two models gains {worth:.2f} of what twice the depth gains."
        ),
        "sided": (
            f"Share of depth's gain that {BLOCKS} blocks lose: {listed}.{_ends(table)} At the rate "
            f"of the blocks in line: {at_one_rate}."
        ),
    }


def checked(live: xr.Dataset, core: xr.Dataset) -> str:
    """What students trained now share, beside the stored ones at the same depth."""
    ell = int(live["ell"].max())
    now, then = (averaging.correlation(one, "ensemble", ell) for one in (live, core))
    return (
        f"Correlation of the errors of two students of independent teachers at {ell} blocks: "
        f"{now:.2f} live, {then:.2f} stored."
    )


def _compared(lost: Interval) -> str:
    """What blocks in rows do against blocks in line, from the share of depth's gain lost."""
    size = f"{abs(lost.estimate):.2f} of what depth gains"
    if lost.low > 0:
        return f"do worse than in line, by {size}"
    if lost.high < 0:
        return f"do better than in line, by {size}"
    return f"are not told from {BLOCKS} in line (share of depth's gain lost {lost:.2f})"


def _regimes(dataset: xr.Dataset) -> list[str]:
    return [str(regime) for regime in dataset["regime"].values]


def _deepest(core: xr.Dataset) -> int:
    return int(core["ell"].max())


def _count(loss: xr.DataArray) -> int:
    return len(seeds.seeds_of(loss))


def _rows(table: pd.DataFrame) -> list[int]:
    return sorted({int(row) for row in table["parallel"].tolist()} - {1})


def _ends(table: pd.DataFrame) -> str:
    """Which shapes' best rate is the highest or the lowest that was tried, in words."""
    last = table.loc[(table["D"] == table["D"].max()) & (table["parallel"] > 1)]
    edges = []
    for row, rates in last.groupby("parallel")["learning_rate"]:
        best = at_best_rate(last.loc[last["parallel"] == row])["learning_rate"].iloc[0]
        for end, limit in (("lowest", rates.min()), ("highest", rates.max())):
            if best == limit:
                edges.append(f"of rows of {row}, {best:g}, is the {end} that was tried")
    return f" The best rate {'; that '.join(edges)}: they may do better still." if edges else ""


def _correlations(core: xr.Dataset) -> list[str]:
    correlations = {r: averaging.correlation(core, r, _deepest(core)) for r in _regimes(core)}
    return [f"{WORDS[r]} {shared:.2f}" for r, shared in correlations.items()]


def _planes(trade: xr.Dataset) -> list[str]:
    planes = {r: shapes.exponents(trade, r) for r in _regimes(trade)}
    return [
        f"{WORDS[r]}: depth {plane['depth']:.2f}, hidden units {plane['hidden units']:.2f}"
        for r, plane in planes.items()
    ]


def _parts(core: xr.Dataset, regime: str) -> str:
    exponents = []
    for part in ("varying", "common"):
        try:
            exponents.append(f"the {part} part {averaging.exponent(core, part, regime):.2f}")
        except InputError:
            exponents.append(f"the {part} part none (it is not positive everywhere)")
    return f"Exponents in depth, {WORDS[regime]}: {' and '.join(exponents)}."


def _trained(loss: xr.DataArray, table: pd.DataFrame) -> dict[str, str]:
    depths = ", ".join(str(int(ell)) for ell in loss["ell"].values)
    return {
        "models": f"width {table['m'].iloc[0]}, depths {depths}, {_count(loss)} seeds",
        "training": f"{max(table['D'].tolist()):,} tokens of Python source, rates by depth",
    }
