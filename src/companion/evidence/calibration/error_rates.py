"""The ledger on planted truth: how often is a verdict right, wrong, or none?

Truths are planted, measured with noise as chapters measure (a few replicates, Student's t), and
judged by the very rules of the ledger. The noise is that of one replicate, in halves of the width
of "about one"; a verdict is wrong where it contradicts what was planted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from companion.evidence.claims import (
    NOT_REPRODUCED,
    NOT_TESTABLE,
    REPRODUCED,
    Claim,
    Measurement,
)
from companion.evidence.judging import beside_untrained, judge, of
from companion.evidence.scaling.identifiability import robust_depth
from companion.statistics.intervals import proportion
from companion.toy.analysis import over_replicates

ONE, HALF = 1.0, 0.25
"""The middle of "about one", and half of its width."""

Draw = Callable[..., Measurement]
"""A measurement of a planted value, at 95 % unless another level is given."""


@dataclass(frozen=True)
class Case:
    """A kind of claim with a planted truth.

    Parameters
    ----------
    name : str
    right : str
        The verdict that the truth deserves.
    judged : callable
        From a `Draw` to the judged claim.
    """

    name: str
    right: str
    judged: Callable[[Draw], Claim]


def _exponents(*truths: float, data: str = "toy") -> Callable[[Draw], Claim]:
    key = "toy-independent-exponent"
    return lambda draw: judge(key, [draw(truth) for truth in truths], {}, data=data)


def _gains(*truths: float) -> Callable[[Draw], Claim]:
    key = "toy-variants-raise-the-exponent-residual"
    level = 1 - 0.05 / len(truths)  # simultaneous, as for the variants
    return lambda draw: judge(key, [draw(truth, level) for truth in truths], {}, data="toy")


def _cuts(first: float, last: float, count: int = 6) -> Callable[[Draw], Claim]:
    """One exponent from more and more rows left out, as `robust_depth` judges it."""

    def judged(draw: Draw) -> Claim:
        cuts = [draw(truth) for truth in np.linspace(first, last, count)]
        columns = {k: [getattr(m, k) for m in cuts] for k in ("estimate", "low", "high")}
        return robust_depth(pd.DataFrame(columns).assign(dropped=range(count)), "chinchilla")

    return judged


def _twins(real: float, untrained: float) -> Callable[[Draw], Claim]:
    key = "swap-costs-less-than-skip-pretrained"

    def judged(draw: Draw) -> Claim:
        one = beside_untrained(draw(real), draw(untrained), key)
        return judge(key, [one], {}, data="pretrained")

    return judged


CASES = (
    Case("one exponent, in the middle of its range", REPRODUCED, _exponents(ONE)),
    Case("one exponent, at the end of its range", REPRODUCED, _exponents(ONE - HALF)),
    Case("one exponent of 1/2", NOT_REPRODUCED, _exponents(0.5)),
    Case("four exponents, all of 1", REPRODUCED, _exponents(*4 * [ONE])),
    Case("four exponents, one of 1/2", NOT_REPRODUCED, _exponents(*3 * [ONE], 0.5)),
    Case("an exponent on another table", NOT_TESTABLE, _exponents(ONE, data="ladder")),
    Case("five gains, one of 0.5", REPRODUCED, _gains(*4 * [0.0], 0.5)),
    Case("five gains, none", NOT_REPRODUCED, _gains(*5 * [0.0])),
    Case("five gains of 0.02, too small to count", NOT_REPRODUCED, _gains(*5 * [0.02])),
    Case("an exponent that stays 1 from cut to cut", REPRODUCED, _cuts(ONE, ONE)),
    Case("an exponent that drifts from 0.9 to 1.9", NOT_REPRODUCED, _cuts(0.9, 1.9)),
    Case("what an untrained network does as well", NOT_TESTABLE, _twins(0.3, 0.3)),
    Case("what an untrained network does not", REPRODUCED, _twins(0.3, 1.9)),
)


def error_rates(
    repeats: int, noises: Sequence[float], replicates: int, generator: np.random.Generator
) -> pd.DataFrame:
    """Verdicts on planted truths, by case and noise.

    Parameters
    ----------
    repeats : int
        Planted claims of each case and noise.
    noises : sequence of float
        Standard deviation of one replicate, in units of half the width of "about one".
    replicates : int
        Behind each interval, at least 2.
    generator : numpy.random.Generator

    Returns
    -------
    DataFrame
        One row for each case and noise: shares `right`, `wrong`, `undecided` and `untestable`
        (where it should not be), and Wilson's interval of the wrong ones, `wrong_low` and
        `wrong_high`.
    """
    rows = []
    for case in CASES:
        for noise in noises:

            def draw(truth: float, level: float = 0.95, scale: float = noise * HALF) -> Measurement:
                values = generator.normal(truth, scale, replicates)
                return of(over_replicates(values, level), "planted")

            seen = Counter(_outcome(case, case.judged(draw).verdict) for _ in range(repeats))
            rows.append({"case": case.name, "noise": noise} | _shares(seen, repeats))
    return pd.DataFrame(rows)


def _outcome(case: Case, verdict: str) -> str:
    if verdict == case.right:
        return "right"
    if verdict == NOT_TESTABLE:
        return "untestable"
    decided = verdict in (REPRODUCED, NOT_REPRODUCED)
    return "wrong" if decided else "undecided"


def _shares(seen: Counter[str], repeats: int) -> dict[str, float]:
    shares = {word: seen[word] / repeats for word in ("right", "wrong", "undecided", "untestable")}
    wrong = proportion(seen["wrong"], repeats)
    return shares | {"wrong_low": wrong.low, "wrong_high": wrong.high}
