"""Numbers that others published, and our fits of the same rows beside them.

Sources: the paper, section 3 and appendix B, and its public code; Besiroglu et al. 2024 (Epoch AI);
McLeish et al. 2025 (Gemstones).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from companion.scaling.fitting import fit
from companion.scaling.laws import get_law
from companion.scaling.result import FitResult
from companion.tables import TableUnavailable, load_table

PAPER = {
    "c_m": 333.38, "alpha_m": 0.9769, "c_ell": 1284.4, "alpha_ell": 1.2014,
    "c_D": 8.4867, "alpha_D": 0.2991, "L_0": 1.7503,
}  # fmt: skip
PAPER_STDERR = {"alpha_m": 0.083, "alpha_ell": 0.269, "alpha_D": 0.0139, "L_0": 0.0256}
PAPER_OBJECTIVE = 3.0681e-5
PAPER_SHIFTED = {"alpha_m": 0.9599, "alpha_ell": 1.0661, "alpha_D": 0.2989, "L_0": 1.7442}
BY_LAW = {"additive": PAPER, "additive-shifted": PAPER_SHIFTED}
PAPER_UNITS = {"m": 1.0, "ell": 100.0, "D": 1e-6}
EPOCH = {
    "c_N": 482.01, "alpha_N": 0.34781, "c_D": 2085.43, "alpha_D": 0.36585, "L_0": 1.81686,
}  # fmt: skip
EPOCH_STDERR = {
    "c_N": 124.52, "alpha_N": 0.01540, "c_D": 1293.28, "alpha_D": 0.02060, "L_0": 0.02566,
}  # fmt: skip
GEMSTONES = {
    1e-3: {"alpha_m": 0.26065, "alpha_ell": 0.14165, "alpha_D": 0.53096, "L_0": 0.0}
    | {"ln c_m": 2.11446, "ln c_ell": 0.73076, "ln c_D": 11.28412},
    1e-4: {"alpha_m": 0.26077, "alpha_ell": 0.14180, "alpha_D": 0.54206},
}
GEMSTONES_OBJECTIVE = {1e-3: 0.0038782174, 1e-4: 0.0004199462}
DECIMALS = {"c_N": 2, "c_D": 2}
TOTAL = "summed objective"
THERE = "summed objective at their point"  # computed here: they did not publish it


def paper_params() -> dict[str, float]:
    """The paper's published parameters in channels, blocks and tokens."""
    return to_plain(PAPER)


def to_plain(params: Mapping[str, Any]) -> dict[str, Any]:
    """From the paper's units (ell x 100, D / 10^6) to plain ones: only coefficients change."""
    plain = dict(params)
    for v, unit in PAPER_UNITS.items():
        plain[f"c_{v}"] = params[f"c_{v}"] * unit ** -params[f"alpha_{v}"]
    return plain


def paper_objective(result: FitResult) -> float:
    """The objective of a fit's rows at what the paper published for its law.

    For the shifted law it published no coefficients: they are refitted, so that this is the least
    that the objective can have been.

    Raises
    ------
    InputError
        If the rows cannot identify the law.
    """
    if result.law.name == "additive":
        return objective_at(result, paper_params())
    return fit(result.table, result.law, fixed=BY_LAW[result.law.name]).objective


def objective_at(result: FitResult, params) -> float:
    """The objective of `result`'s law and rows at other parameters, in plain units."""
    r = np.abs(result.y - np.log(get_law(result.law).predict(params, result.table)))
    if math.isinf(result.delta):
        return float(np.mean(r**2))
    outside = result.delta * (r - result.delta / 2)
    return float(np.mean(np.where(r <= result.delta, r**2 / 2, outside)))


def checks():
    """Published fits of others beside ours, as a DataFrame.

    One row for each parameter and for the summed objective, which for Epoch AI is taken at their
    published point. `digits` says whether ours rounds to every published digit; `attrs["missing"]`
    lists the fits whose table could not be had.
    """
    import pandas as pd

    cases = [("Epoch AI", "chinchilla", "chinchilla", 5, 1e-3, EPOCH)]
    cases += [
        (f"Gemstones, Huber {d:g}", "gemstones", "additive", 0, d, GEMSTONES[d]) for d in GEMSTONES
    ]
    rows, missing = [], []
    for label, name, law, drop, delta, theirs in cases:
        try:
            table = load_table(name)
        except TableUnavailable:
            missing.append(label)
            continue
        rows += _check(label, fit(table, law, drop=drop, delta=delta), theirs)
    frame = pd.DataFrame(rows, columns=["fit", "quantity", "published", "ours", "digits"])
    change = (
        100
        * (frame["ours"] - frame["published"])
        / frame["published"].where(frame["published"] != 0, 1.0)
    )
    frame.insert(4, "difference %", change)
    frame.attrs["missing"] = missing
    return frame


def _check(label: str, result: FitResult, theirs) -> list[tuple]:
    ours = dict(result.params) | {f"ln {n}": math.log(v) for n, v in result.params.items() if v > 0}
    known = GEMSTONES_OBJECTIVE if result.law.name == "additive" else {}
    total = known.get(result.delta) or objective_at(result, theirs) * result.n
    rows = [(name, value, ours[name], DECIMALS.get(name, 5)) for name, value in theirs.items()]
    rows.append((TOTAL if result.delta in known else THERE, total, result.total, 10))
    return [(label, *row[:3], round(row[2], row[3]) == round(row[1], row[3])) for row in rows]


def check_sentence(frame) -> str:
    """Which published numbers are met to every digit, and why the others are not."""
    missing = " and ".join(frame.attrs["missing"])
    if frame.empty:
        return f"The tables of {missing} could not be had: not checked."
    given = frame["quantity"] != THERE
    said = [
        f"Of {int(given.sum())} published numbers {int(frame['digits'][given].sum())} are met to "
        "every digit."
    ]
    said += [_why(label, rows) for label, rows in frame.groupby("fit", sort=False)]
    said += [f"Not checked for want of tables: {missing}."] if missing else []
    return " ".join(said)


def _why(label: str, rows) -> str:
    total = rows["quantity"].isin([TOTAL, THERE])
    excess = -float(rows.loc[total, "difference %"].iloc[0])
    off = rows[~rows["digits"] & ~total]
    if off.empty:
        return f"{label}: all of them."
    if (rows["digits"] & total).any():
        reason = "the objectives agree to every published digit, so the fit is flat that way"
    elif excess > 0:
        reason = f"the published point lies {excess:.3f} % above our optimum in the objective"
    else:
        reason = f"our objective is {-excess:.3f} % higher, so our fit is the worse one"
    names, most = ", ".join(off["quantity"]), off["difference %"].abs().max()
    return f"{label}: {names} differ by up to {most:.2g} %, because {reason}."
