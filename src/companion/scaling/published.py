"""Numbers that others published, and our fits of the same rows beside them.

Sources: the paper, section 3 and appendix B, and its public code; Besiroglu et al. 2024 (Epoch AI);
McLeish et al. 2025 (Gemstones).
"""

from __future__ import annotations

import math

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
PAPER_UNITS = {"m": 1.0, "ell": 100.0, "D": 1e-6}
EPOCH = {
    "c_N": 482.01, "alpha_N": 0.34781, "c_D": 2085.43, "alpha_D": 0.36585, "L_0": 1.81686,
}  # fmt: skip
EPOCH_STDERR = {
    "c_N": 124.52, "alpha_N": 0.01540, "c_D": 1293.28, "alpha_D": 0.02060, "L_0": 0.02566,
}  # fmt: skip
GEMSTONES = {
    1e-3: {"alpha_m": 0.26065, "alpha_ell": 0.14165, "alpha_D": 0.53096, "L_0": 0.0}
    | {"c_m": math.exp(2.11446), "c_ell": math.exp(0.73076), "c_D": math.exp(11.28412)},
    1e-4: {"alpha_m": 0.26077, "alpha_ell": 0.14180, "alpha_D": 0.54206},
}
GEMSTONES_OBJECTIVE = {1e-3: 0.0038782174, 1e-4: 0.0004199462}


def paper_params() -> dict[str, float]:
    """The paper's published parameters in channels, blocks and tokens."""
    return to_plain(PAPER)


def to_plain(params: dict[str, float]) -> dict[str, float]:
    """From the paper's units (ell x 100, D / 10^6) to plain ones: only coefficients change."""
    plain = dict(params)
    for v, unit in PAPER_UNITS.items():
        plain[f"c_{v}"] = params[f"c_{v}"] * unit ** -params[f"alpha_{v}"]
    return plain


def objective_at(result: FitResult, params) -> float:
    """The objective of `result`'s law and rows at other parameters, in plain units."""
    r = np.abs(result.y - np.log(get_law(result.law).predict(params, result.table)))
    if math.isinf(result.delta):
        return float(np.mean(r**2))
    outside = result.delta * (r - result.delta / 2)
    return float(np.mean(np.where(r <= result.delta, r**2 / 2, outside)))


def checks():
    """Published fits of others beside ours, as a DataFrame.

    One row for each parameter and for the summed objective; `attrs["missing"]` lists the fits
    whose table could not be had.
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
    frame = pd.DataFrame(rows, columns=["fit", "quantity", "published", "ours"])
    frame["difference %"] = 100 * (frame["ours"] - frame["published"]) / frame["published"]
    frame.attrs["missing"] = missing
    return frame


def _check(label: str, result: FitResult, theirs) -> list[tuple]:
    known = GEMSTONES_OBJECTIVE if result.law.name == "additive" else {}
    total = known.get(result.delta) or objective_at(result, theirs) * result.n
    rows = [(label, name, value, result.params[name]) for name, value in theirs.items() if value]
    return [*rows, (label, "summed objective", total, result.total)]


def check_sentence(frame) -> str:
    """How far our fits are from the published ones, in a sentence."""
    if frame.empty:
        return (
            f"The tables of {' and '.join(frame.attrs['missing'])} could not be had: not checked."
        )
    change = frame["difference %"]
    objective = frame["quantity"] == "summed objective"
    exponents = change[frame["quantity"].str.startswith("alpha")].abs().max()
    lower = "never" if (change[objective] < 1e-4).all() else "sometimes"
    missing = ", ".join(frame.attrs["missing"])
    return (
        f"The parameters agree within {change[~objective].abs().max():.1f} % (exponents within "
        f"{exponents:.2f} %), and the published summed objectives are {lower} below ours."
        + (f" Not checked for want of tables: {missing}." if missing else "")
    )
