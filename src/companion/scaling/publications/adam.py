r"""The published optimiser: one run of Adam, its path, its bootstrap and its held-out runs.

It starts at exponents (1, 1, 0.33) and works on :math:`\ln c`, exponents and L_0, with depth in
hundredths of a block and data in millions of tokens. The facts are from the paper's public code;
the code here is ours, in NumPy and float64. Its two laws are the additive one, and the one that
counts two blocks less.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from companion.errors import InputError
from companion.scaling.fitting.fit import fit
from companion.scaling.fitting.laws import get_law
from companion.scaling.publications.numbers import PAPER_UNITS, to_plain
from companion.statistics.intervals import resample

FITTED = ("additive", "additive-shifted")


@dataclass(frozen=True)
class AdamPath:
    """An Adam run: `steps` (K,) at which `params` (name to (K,)) and `objective` were taken."""

    steps: np.ndarray
    params: dict[str, np.ndarray]
    objective: np.ndarray


def adam(
    table, law: str = "additive", *, steps: int = 50_000, every: int = 100, weights=None
) -> AdamPath:
    """The paper's procedure: start, rates, units and number of steps as published.

    Parameters
    ----------
    table : DataFrame
        Columns m, ell, D, loss.
    law : str
        "additive" or "additive-shifted".
    steps : int
        50,000 for the published fit, 10,000 for its bootstrap, 1,000 for held-out runs.
    every : int
        Distance of the points that are kept.
    weights : ndarray, shape (n,), optional
        How often a bootstrap resample holds each row.

    Returns
    -------
    AdamPath
        Parameters in channels, blocks, tokens; objective the mean squared log residual.

    Raises
    ------
    InputError
        If the paper did not fit this law.

    Notes
    -----
    Kingma and Ba 2015, with beta 0.9, 0.999 and epsilon 1e-8. The published loss carries a factor
    100, which matters only through epsilon; it is kept.
    """
    x = _logs(table, law)
    y = np.log(np.asarray(table["loss"], float))
    w = np.full(len(y), 1 / len(y)) if weights is None else weights / np.sum(weights)
    theta = np.array([*np.log([200.0, 200.0, 10.0]), 1.0, 1.0, 0.33, 1.69])
    rate = np.array([5e-3] * 3 + [5e-4] * 3 + [5e-3])
    first, second = np.zeros(7), np.zeros(7)
    kept = []
    for step in range(steps + 1):
        value, gradient = _objective(theta, x, y, w)
        if step % every == 0 or step == steps:
            kept.append((step, value, *theta))
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        scale = np.sqrt(second / (1 - 0.999 ** (step + 1))) + 1e-8
        theta = theta - rate * first / (1 - 0.9 ** (step + 1)) / scale
    return _path(np.array(kept))


def _logs(table, law: str) -> np.ndarray:
    """Logs of m, ell (less what does not count) and D in the paper's units, shape (3, n)."""
    if law not in FITTED:
        raise InputError(f"the paper did not fit law {law!r}: use one of {', '.join(FITTED)}")
    offset = dict(get_law(law).shift)
    return np.stack(
        [
            np.log((np.asarray(table[v], float) - offset.get(v, 0.0)) * unit)
            for v, unit in PAPER_UNITS.items()
        ]
    )


def _objective(theta, x, y, w):
    terms = np.exp(theta[:3, None] - theta[3:6, None] * x)
    total = terms.sum(0) + theta[6]
    r = y - np.log(total)
    pull = (-200.0 * w * r) / total
    by_term = terms * pull
    gradient = np.concatenate([by_term.sum(1), -(by_term * x).sum(1), [pull.sum()]])
    return float(w @ (r * r)), gradient


def _path(kept: np.ndarray) -> AdamPath:
    names = ["c_m", "c_ell", "c_D", "alpha_m", "alpha_ell", "alpha_D", "L_0"]
    params: dict[str, np.ndarray] = dict(zip(names, kept[:, 2:].T, strict=True))
    params |= {name: np.exp(params[name]) for name in names[:3]}
    return AdamPath(kept[:, 0].astype(int), to_plain(params), kept[:, 1])


def estimates_at(path: AdamPath, stops) -> dict[int, float]:
    """The depth exponent at given numbers of steps.

    Raises
    ------
    InputError
        If the path has no point there.
    """
    for stop in stops:
        if stop not in path.steps:
            raise InputError(
                f"the path has no point after {stop} steps: it ends at {path.steps[-1]}"
            )
    return {s: float(path.params["alpha_ell"][path.steps == s][0]) for s in stops}


def adam_bootstrap(
    table,
    generator: np.random.Generator,
    law: str = "additive",
    *,
    draws: int = 10,
    steps: int = 10_000,
) -> dict[str, np.ndarray]:
    """The published bootstrap: rows resampled, each refitted by Adam for `steps` steps.

    `table`, `law` and errors as in `adam`; 200 draws as published.

    Returns
    -------
    dict of ndarray, shape (draws,)
        Where Adam stood when it was stopped, in plain units.
    """
    counts = resample(len(table), draws, generator)
    ends = [adam(table, law, steps=steps, every=steps, weights=w).params for w in counts]
    return {name: np.array([end[name][-1] for end in ends]) for name in ends[0]}


def adam_held_out(
    table,
    generator: np.random.Generator,
    law: str = "additive",
    *,
    splits: int = 10,
    steps: int = 1_000,
):
    """The published held-out runs: a fifth held out at random, Adam stopped early on the others.

    Parameters
    ----------
    table : DataFrame
        Columns m, ell, D, loss.
    generator : numpy.random.Generator
        For the splits.
    law : str
        "additive" or "additive-shifted".
    splits, steps : int
        10 splits of 1,000 steps as published.

    Returns
    -------
    DataFrame
        One row for each split: `alpha_stopped`, `error_stopped` (root mean squared log error on
        the held-out rows where Adam was stopped), `alpha_optimum`, `error_optimum` (refitted to
        the optimum of the same rows), `converged`.

    Raises
    ------
    InputError
        If the larger part cannot identify the law, or the paper did not fit it.
    """
    import pandas as pd

    held = len(table) // 5
    parts = [np.split(generator.permutation(len(table)), [held]) for _ in range(splits)]
    return pd.DataFrame([_split(table.iloc[k], table.iloc[out], law, steps) for out, k in parts])


def _split(kept, out, law: str, steps: int) -> dict:
    path, best = adam(kept, law, steps=steps, every=steps), fit(kept, law)
    stopped = {name: values[-1] for name, values in path.params.items()}
    errors = [
        np.log(np.asarray(out["loss"]) / best.law.predict(params, out))
        for params in (stopped, best.params)
    ]
    rmse = [float(np.sqrt(np.mean(e**2))) for e in errors]
    return {
        "alpha_stopped": float(stopped["alpha_ell"]),
        "error_stopped": rmse[0],
        "alpha_optimum": best.params["alpha_ell"],
        "error_optimum": rmse[1],
        "converged": best.converged,
    }
