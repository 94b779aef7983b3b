"""Planted laws: which intervals contain the truth as often as they say?

Losses are drawn from a known law on the rows of a real table, so that a simulation inherits the
table's collinearity; every method of uncertainty is then asked for the planted exponents.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from companion.files import stored
from companion.runs import Journal, Progress, claimed, silent
from companion.scaling.fitting.fit import fit
from companion.scaling.fitting.laws import get_law
from companion.scaling.uncertainty.methods import METHODS, quantify
from companion.statistics.intervals import proportion
from companion.tables import clusters


def plant(
    table,
    law,
    params: Mapping[str, float],
    sigma: float,
    generator: np.random.Generator,
    *,
    shared: float = 0.0,
):
    r"""The table with losses drawn from `law`: :math:`\ln L_i = \ln \hat L_i + \epsilon_i`.

    Parameters
    ----------
    table : DataFrame
        Gives the rows (m, ell, D, N); its losses are replaced.
    law : str or ScalingLaw
        The planted law.
    params : mapping
        Its parameters, in plain units.
    sigma : float
        Standard deviation of :math:`\epsilon`.
    generator : numpy.random.Generator
        Source of randomness.
    shared : float
        Share of the variance common to all rows of one (m, ell) shape, 0 to 1.
    """
    _, member = np.unique(clusters(table), return_inverse=True)
    own = generator.standard_normal(len(table)) * math.sqrt(1 - shared)
    common = generator.standard_normal(member.max() + 1)[member] * math.sqrt(shared)
    loss = get_law(law).predict(params, table) * np.exp(sigma * (own + common))
    return table.assign(loss=loss)


def coverage(
    table,
    law,
    params: Mapping[str, float],
    sigma: float,
    generator: np.random.Generator,
    *,
    names: Sequence[str],
    repeats: int = 100,
    draws: int = 200,
    shared: float = 0.0,
    methods: Sequence[str] = tuple(METHODS),
    folder: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
):
    """How often the 95 % intervals of each method contain the planted value.

    Every planted table draws from its own child of `generator`, so that a study which was cut
    short and taken up again gives what it would have given in one go.

    Parameters
    ----------
    table, law, params, sigma, generator, shared
        As in `plant`.
    names : sequence of str
        Parameters whose intervals are counted.
    repeats : int
        Number of planted tables.
    draws : int
        Bootstrap resamples for each.
    methods : sequence of str
        Names of `METHODS`.
    folder : path, optional
        Keeps each table's outcome as soon as it is known, in `trials.jsonl`.
    resume, overwrite : bool
        Go on with what is in `folder`, or start anew, see `companion.runs.claimed`.
    progress : callable
        Called with (tables done, tables in all).

    Returns
    -------
    DataFrame
        One row for each method and parameter: `coverage` with Wilson's interval `low`, `high`;
        median `width`; `repeats`; `missing`, tables for which the method gave no interval (they
        count as not covering); `unconverged` fits; `bias`, mean estimate minus truth.

    Raises
    ------
    InputError
        If a method is unknown, or as `companion.runs.claimed`.
    """
    import pandas as pd

    setting = {"law": get_law(law).name, "params": dict(params), "sigma": sigma, "shared": shared}
    setting |= {"names": list(names), "draws": draws, "methods": list(methods), "rows": len(table)}
    setting["seed"] = str(generator.bit_generator.seed_seq)
    with contextlib.ExitStack() as held:
        place = Path(folder or held.enter_context(TemporaryDirectory()))
        held.enter_context(claimed(place, setting, resume=resume, overwrite=overwrite))
        trials = held.enter_context(Journal(place / "trials.jsonl"))
        for k, child in enumerate(generator.spawn(repeats)):
            if k >= len(trials.records):
                planted = plant(table, law, params, sigma, child, shared=shared)
                result = quantify(fit(planted, law), child, methods=methods, draws=draws)
                trials.append([_outcome(result, m, n, params[n]) for m in methods for n in names])
                trials.flush()
            progress(k + 1, repeats)
    return _summary(pd.DataFrame(list(chain(*trials.records[:repeats]))))


def stored_coverage(name: str = "scaling_coverage.json"):
    """The stored study as a DataFrame; `attrs` hold its provenance and planted parameters.

    Raises
    ------
    InputError
        If it has not been run: ``python benchmarks/coverage.py`` makes it.
    """
    import pandas as pd

    record = json.loads(stored(name).read_text(encoding="utf-8"))
    frame = pd.DataFrame(record["rows"])
    frame.attrs = {"provenance": record["provenance"], "planted": record["planted"]}
    return frame


def _outcome(result, method: str, name: str, truth: float) -> dict:
    interval = result.intervals[method].get(name)
    seen = {"method": method, "parameter": name, "error": result.params[name] - truth}
    seen["unconverged"] = not result.converged
    if interval is None:
        return seen | {"hit": False, "width": math.nan, "missing": 1}
    width = interval.high - interval.low
    return seen | {"hit": interval.low <= truth <= interval.high, "width": width, "missing": 0}


def _summary(found):
    rows = []
    for (method, name), group in found.groupby(["method", "parameter"], sort=False):
        share = proportion(int(group["hit"].sum()), len(group))
        rows.append(
            {
                "method": method,
                "parameter": name,
                "coverage": share.estimate,
                "low": share.low,
                "high": share.high,
                "width": float(group["width"].median()),
                "bias": float(group["error"].mean()),
                "repeats": len(group),
                "missing": int(group["missing"].sum()),
                "unconverged": int(group["unconverged"].sum()),
            }
        )
    return type(found)(rows)
