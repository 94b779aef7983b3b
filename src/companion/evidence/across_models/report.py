"""Tables and sentences of the chapter on real models beside the ladder; all of them computed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from companion.evidence.across_models.claims import exponent, two_points
from companion.evidence.across_models.comparison import STATISTICS, Comparison
from companion.evidence.across_models.row import UNTRAINED, Row
from companion.evidence.calibration.quantised import band
from companion.evidence.claims import NOT_TESTABLE, VERDICTS, Claim
from companion.evidence.probes.geometry import FEWEST_DEPTHS
from companion.probing.beside.resampling import LENSES
from companion.probing.summaries import middle_layers, profile
from companion.statistics.intervals import Interval

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

CITED = {
    "turns": "rotation times blocks",
    "evenness": "evenness",
    "cosine": "cosine of neighbours",
    "share_last_block": "middle share, last-block lens",
    "share_logit": "middle share, logit lens",
    "skip": "skip / equal share",
    "swap": "swap / skip",
    "parallel": "parallel / skip",
}
"""Statistics by the name under which the prose cites their sentence."""

IN_BANDS = {
    "rotation times blocks": "middle_rotation",
    "evenness": "rotation_evenness",
    "cosine of neighbours": "cosine",
    "swap / skip": "swap_over_skip",
    "parallel / skip": "parallel_over_skip",
}
"""Names of the statistics in the stored quantisation errors."""


def words(c: Comparison, judged: Iterable[Claim], errors: Mapping[str, Any]) -> dict[str, str]:
    """All sentences of the chapter, by the names that its prose cites."""
    judged = list(judged)
    return {
        **{name: spoken(c, statistic) for name, statistic in CITED.items()},
        "answer": f"{answer(c).capitalize()}. {verdicts(judged)}",
        "likeness": likeness(c),
        "verdicts": verdicts(judged),
        "exponents": exponent_words(c),
        "lenses": _through_lenses(c, c.real),
        "ladder_lens": _through_lenses(c, c.ladder[-1:]),
        "outliers": outlier_words(c),
        "check": check(c),
        "absent": absent(c),
        "band": band_words(errors, c),
    }


def table(c: Comparison, names: Iterable[str], untrained: bool = True) -> pd.DataFrame:
    """Chosen statistics with their intervals, one row a model, its untrained twin below it."""
    import pandas as pd

    rows = [r for r in c.rows if untrained or r.kind != UNTRAINED]
    records = [{"model": label(r), "blocks": r.ell} | _cells(r, names) for r in rows]
    return pd.DataFrame(records).set_index("model")


def label(r: Row) -> str:
    """The name of a row; untrained twins bear that of the model."""
    return f"{r.name}, untrained" if r.kind == UNTRAINED else r.name


def _cells(r: Row, names: Iterable[str]) -> dict[str, str]:
    cells = {name: _text(STATISTICS[name](r)) for name in names}
    return cells | {"layers that stand out": standing_out(r)} if "evenness" in cells else cells


def _text(interval: Interval | None) -> str:
    return "–" if interval is None else f"{interval:.2f}"


def standing_out(r: Row) -> str:
    """Blocks that turn the state at least twice as far as the middle median, in words."""
    return ", ".join(f"{layer} ({ratio:.1f} times)" for layer, ratio in r.outliers) or "none"


def outlier_words(c: Comparison) -> str:
    """Which blocks of the real models stand out, in words."""
    blocks = "; ".join(f"{r.name}: {standing_out(r)}" for r in c.real)
    return (
        f"Blocks that turn the state twice as far as the middle median or more: {blocks or 'none'}."
    )


def inside(r: Row, name: str, c: Comparison) -> bool | None:
    """Whether a statistic of a model meets the range of the ladder's; None without either."""
    ours = STATISTICS[name](r)
    theirs = [i for i in map(STATISTICS[name], c.with_middle) if i is not None]
    if ours is None or not theirs:
        return None
    return ours.high >= min(i.low for i in theirs) and ours.low <= max(i.high for i in theirs)


def likeness(c: Comparison) -> str:
    """In which statistics each real model lies within the ladder's range, in words."""
    if not c.real:
        return "No real model could be had, so there is nothing to compare the ladder with."
    return " ".join(_likeness(r, c) for r in c.real)


def _likeness(r: Row, c: Comparison) -> str:
    where = {name: inside(r, name, c) for name in STATISTICS}
    alike, other = ([n for n, met in where.items() if met is wanted] for wanted in (True, False))
    return (
        f"{r.name} lies within the ladder's range in {len(alike)} of {len(alike) + len(other)} "
        f"statistics ({', '.join(alike) or 'none'}) and outside in {', '.join(other) or 'none'}."
    )


def verdicts(judged: Iterable[Claim]) -> str:
    """What becomes of the paper's statements on these real models, in words."""
    papers = [one for one in judged if one.whose == "paper"]
    counts = Counter(one.verdict for one in papers)
    listed = ", ".join(f"{counts[v]} {v}" for v in VERDICTS if counts[v])
    idle = [
        one
        for one in papers
        if one.verdict == NOT_TESTABLE and any(m.idle for m in one.measurements)
    ]
    aside = f"; {len(idle)} of them because untrained networks do the same" if idle else ""
    return (
        f"Of the paper's {len(papers)} statements about pretrained models, here: {listed}{aside}."
    )


def answer(c: Comparison) -> str:
    """Yes, in part or no: whether the real models' statistics lie within the ladder's range."""
    met = [inside(r, name, c) for r in c.real for name in STATISTICS]
    known = [one for one in met if one is not None]
    if not known:
        return "not testable here"
    return "yes" if all(known) else "in part" if any(known) else "no"


def spoken(c: Comparison, name: str) -> str:
    """One statistic of the real models, of the ladder's and of the untrained twins, in words."""
    get = STATISTICS[name]
    real = [(r.name, get(r), get(c.untrained[r.name]) if r.name in c.untrained else None)
            for r in c.real]  # fmt: skip
    values = [
        f"{n} {i:.2f}" + (f" (untrained {twin.estimate:.2f})" if twin else "")
        for n, i, twin in real
        if i is not None
    ]
    beside = [i.estimate for i in map(get, c.with_middle) if i is not None]
    ladder = f"the ladder {min(beside):.2f} to {max(beside):.2f}" if beside else "no ladder"
    return f"{name}: {', '.join(values) or 'no real model'}; {ladder}."


def exponent_words(c: Comparison) -> str:
    """Exponents of the middle rotation, of the real models and of the ladder, in words."""
    if len({r.ell for r in c.real}) >= FEWEST_DEPTHS:
        real = f"Over the {len(c.real)} real models the exponent is {exponent(c.real):.2f}"
    else:
        real = f"The real models give no exponent: {two_points(c)}"
    if len({r.ell for r in c.ladder}) < FEWEST_DEPTHS:
        return f"{real}. The ladder of this run has too few depths for one, too."
    slope = exponent(c.ladder)
    return f"{real}. Over its {len(c.ladder)} models the ladder's own exponent is {slope:.2f}."


def _through_lenses(c: Comparison, rows: Iterable[Row]) -> str:
    sentences = [lens_words(r.name, c.probes[r.name]) for r in rows]
    return " ".join(sentences) or "There is no such model in this run."


def lens_words(name: str, probe: xr.Dataset) -> str:
    """What the lenses read over the middle of a model, and why, in words."""
    ell, guess = int(probe.attrs["ell"]), math.log(int(probe.attrs["V"]))
    middle = middle_layers(ell)
    ce = {lens: profile(probe, f"cross_entropy{suffix}") for lens, suffix in LENSES.items()}
    reads = [f"the {lens} {x[middle].min():.1f} to {x[middle].max():.1f}" for lens, x in ce.items()]
    worse = [int((x[np.isfinite(x)] > guess).sum()) for x in ce.values()]
    sure = profile(probe, "entropy")[middle].mean()
    norm, step = profile(probe, "norm"), profile(probe, "update_norm")
    return (
        f"Over the middle of {name}, {' and '.join(reads)} nats per token, where a uniform guess "
        f"reads {guess:.1f}; worse than guessing are {worse[0]} and {worse[1]} layers. The "
        f"last-block lens is {'sure' if sure < guess / 2 else 'unsure'} there, with an entropy of "
        f"{sure:.1f} nats. The last block meets states of length {norm[ell - 1]:.0f} and adds "
        f"{step[ell - 1]:.0f}; states of the middle are {norm[middle].mean():.0f} long."
    )


def check(c: Comparison) -> str:
    """Whether live runs of models that are stored agree with them, in words."""
    if not c.live:
        return "No stored model was run live, so the stored numbers stand unchecked in this build."
    return " ".join(_checked(r, c.live[r.name]) for r in c.real if r.name in c.live)


def _checked(kept: Row, live: Row) -> str:
    names = ("rotation times blocks", "evenness", "cosine of neighbours")
    pairs = [(STATISTICS[n](live), STATISTICS[n](kept)) for n in names]
    apart = [n for n, (a, b) in zip(names, pairs, strict=True) if a and b and not _meet(a, b)]
    outcome = "agrees with the stored one" if not apart else f"differs in {', '.join(apart)}"
    first = f"Run live on {live.tokens:,} tokens, {kept.name} {outcome}"
    return f"{first} ({kept.tokens:,} tokens) within the intervals over documents."


def _meet(a: Interval, b: Interval) -> bool:
    return a.low <= b.high and b.low <= a.high


def absent(c: Comparison) -> str:
    """Models that could not be had, and why, in words."""
    models = "; ".join(f"{name} ({why})" for name, why in c.missing.items())
    return (
        f"Could not be had, and is missing from this page: {models}."
        if models
        else "Every model that this page asks for could be had."
    )


def error_band(errors: Mapping[str, Any], r: Row, name: str) -> tuple[float, float] | None:
    """How far quantisation may have moved a statistic of a model, see `quantised.band`."""
    value = STATISTICS[name](r)
    if value is None or name not in IN_BANDS:
        return None
    return band(errors, r.name, value.estimate, IN_BANDS[name])


def band_words(errors: Mapping[str, Any], c: Comparison) -> str:
    """How wide the error band of quantisation is for each real model, in words."""
    models = []
    for r in c.real:
        bands = {name: error_band(errors, r, name) for name in STATISTICS}
        widths = [f"{n} ± {(b[1] - b[0]) / 2:.2g}" for n, b in bands.items() if b]
        models += [f"{r.name}: {', '.join(widths)}"] if widths else []
    if not models:
        return "The error that quantisation makes has not been stored, and no band is drawn."
    return f"The largest error that the same quantisation makes in the ladder: {'; '.join(models)}."
