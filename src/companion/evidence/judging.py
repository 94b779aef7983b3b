"""Judge: measurements against the registry's claim, by rules that are the same for all.

A claim about one kind of data is not testable on another; a run that lacks what the claim needs
does not test it; a statistic that failed in calibration decides nothing; what an untrained network
passes is no evidence. Of several runs of one claim the better decides, and the ledger says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from companion.evidence.calibration.verdict import why_no_test
from companion.evidence.claims import NOT_TESTABLE, REPRODUCED, UNDECIDED, Claim, Measurement
from companion.evidence.registry import Entry, entry
from companion.statistics.intervals import Interval

WORDS = {
    "chinchilla": "the chinchilla table",
    "gemstones": "the gemstones table",
    "ladder": "the ladder",
    "pretrained": "pretrained models",
    "toy": "toys",
}
"""The data that claims are about, in words."""


def of(
    interval: Interval, name: str, part: str = "", unit: str = "", idle: str = ""
) -> Measurement:
    """An interval as the measurement of a part of a claim."""
    estimate, low, high = map(float, interval)
    return Measurement(name, estimate, low, high, part, unit, interval.level, idle=idle)


def judge(
    key: str,
    measured: Iterable[Measurement],
    scope: Mapping[str, str],
    *,
    data: str = "",
    met: Mapping[str, float] | None = None,
    reason: str = "",
    size: float = 0.0,
) -> Claim:
    """The registered claim beside what a run measured.

    Parameters
    ----------
    key : str
        In the registry, `data/claims.yaml`.
    measured : iterable of Measurement
        Each names its part of the claim; the expected range is the registry's.
    scope : mapping
        What the verdict holds for.
    data : str
        What the run looked at: the name of a table, or "ladder", "pretrained", "toy".
    met : mapping of str to float
        How much of each of the claim's needs the run has.
    reason : str
        Why the run cannot test it, if it cannot.
    size : float
        How much went into it; of two runs of one claim the larger decides.

    Returns
    -------
    Claim

    Raises
    ------
    InputError
        If no claim is registered under `key`.
    KeyError
        If a measurement is of a part that the claim does not have.
    """
    record = entry(key)
    reason = _elsewhere(record, data) or _idle(record) or _lacks(record, met or {}) or reason
    known = () if reason else tuple(_beside(record, m) for m in measured)
    if not reason and all(m.idle for m in known):
        reasons = dict.fromkeys(m.idle for m in known)
        reason = "; ".join(reasons) or "nothing of it could be measured here"
    about = (record.whose, record.question, record.holds)
    return Claim(key, record.statement, record.source, scope, known, reason, *about, size=size)


def beside_untrained(
    measured: Measurement, twin: Measurement | None, key: str, needed: bool = False
) -> Measurement:
    """The measurement, as no evidence if it is in range and an untrained network may be too.

    Where the comparison is `needed`, what is in range with nothing untrained beside it is no
    evidence either. What is out of range counts in any case.
    """
    alone = "no untrained network stands beside it" if needed else ""
    reasons = {
        REPRODUCED: "an untrained network of the same architecture passes too",
        UNDECIDED: "an untrained network of the same architecture may pass too",
    }
    own, other = (m and _beside(entry(key), m).verdict for m in (measured, twin))
    idle = reasons.get(other, "") if other else alone
    return replace(measured, idle=idle) if own == REPRODUCED else measured


def stored(claims: Iterable[Claim]) -> list[Claim]:
    """The claims of a stored run, which stand beside those of the live one."""
    return [replace(claim, run="stored") for claim in claims]


def rows(claims: Iterable[Claim]) -> list[tuple[Claim, list[Claim], str]]:
    """One row a claim: the run that decides, the others, and why it decides.

    What tests the claim goes before what does not, then the larger run, then the stored one.
    """
    by_key: dict[str, list[Claim]] = {}
    for claim in claims:
        by_key.setdefault(claim.key, []).append(claim)
    ranked = [sorted(runs, key=_rank, reverse=True) for runs in by_key.values()]
    return [(first, others, _why(first, others)) for first, *others in ranked]


def row_record(decider: Claim, others: list[Claim], why: str) -> dict[str, Any]:
    """A row in JSON types: the decider, all measurements with their runs, and why."""
    record = entry(decider.key)
    measurements = [
        one | {"chapter": claim.chapter, "run": claim.run, "decides": claim is decider}
        for claim in (decider, *others)
        for one in claim.to_dict()["measurements"]
    ]
    runs = [{"chapter": c.chapter, "run": c.run, "verdict": c.verdict} for c in (decider, *others)]
    about = {"estimand": record.estimand, "data": list(record.about), "anchor": decider.anchor}
    return decider.to_dict() | about | {"why": why, "runs": runs, "measurements": measurements}


def _beside(record: Entry, m: Measurement) -> Measurement:
    expected = record.range(m.part)
    return replace(m, expected_low=expected.low, expected_high=expected.high)


def _elsewhere(record: Entry, data: str) -> str:
    if not record.about or not data or data in record.about:
        return ""
    about = _listed(WORDS.get(name, name) for name in record.about)
    return f"the claim is about {about}, and this run looked at {WORDS.get(data, data)}"


def _idle(record: Entry) -> str:
    if not record.statistic:
        return ""
    name, regime = record.statistic
    return why_no_test(name, regime)


def _lacks(record: Entry, met: Mapping[str, float]) -> str:
    short = [
        f"{need:g} {name}, this run has {met[name]:g}"
        for name, need in (record.needs or {}).items()
        if name in met and met[name] < need
    ]
    return f"it takes {' and '.join(short)}" if short else ""


def _rank(claim: Claim) -> tuple[bool, float, bool]:
    return claim.verdict != NOT_TESTABLE, claim.size, claim.run == "stored"


def _why(first: Claim, others: list[Claim]) -> str:
    if not others:
        return "one run"
    named = f"the {first.run} run of {first.chapter}" if first.chapter else f"the {first.run} run"
    testable = [other for other in others if other.verdict != NOT_TESTABLE]
    if not testable:
        return f"{named} decides, the others cannot test it"
    larger = all(first.size > other.size for other in testable)
    why = f"{named} decides, {'the larger' if larger else 'of equal size'}"
    apart = sorted({other.verdict for other in testable} - {first.verdict})
    return f"{why}; alone, another would say: {', '.join(apart)}" if apart else why


def _listed(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}" if most else last
