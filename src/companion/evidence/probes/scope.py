"""What a verdict holds for, and how an interval becomes a measurement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from companion.evidence.claims import Claim, Measurement
from companion.probing.summaries import depth, middle_layers
from companion.statistics.intervals import Interval

if TYPE_CHECKING:
    import xarray as xr

FEWEST_MIDDLE = 3
"""With fewer middle layers than this, even and staged cannot be told apart."""


def scope_of_probes(datasets: Mapping[str, xr.Dataset]) -> dict[str, str]:
    """What a verdict on these datasets holds for: models, corpus, tokens, number format."""
    corpora = {str(d.attrs.get("corpus_name", "unnamed")) for d in datasets.values()}
    tokens = {int(d.attrs["tokens"]) for d in datasets.values() if "tokens" in d.attrs}
    formats = {str(d.attrs["dtype"]) for d in datasets.values() if "dtype" in d.attrs}
    return {
        "models": ", ".join(datasets),
        "data": ", ".join(sorted(corpora)),
        "size": ", ".join(f"{n:,} tokens" for n in sorted(tokens)) + " a model",
        "numbers": ", ".join(sorted(formats)),
    }


def measurement(name: str, interval: Interval, expected: tuple[float, float]) -> Measurement:
    """A measured interval beside the range that a claim predicts."""
    return Measurement(name, interval.estimate, interval.low, interval.high, *expected)


def claim_on_probes(
    key: str,
    statement: str,
    source: str,
    datasets: Mapping[str, xr.Dataset],
    measurements: list[Measurement],
    otherwise: str,
) -> Claim:
    """A claim with the scope of its probes; `otherwise` says why there are no measurements."""
    reason = "" if measurements else otherwise
    return Claim(key, statement, source, scope_of_probes(datasets), tuple(measurements), reason)


def with_a_middle(datasets: Mapping[str, xr.Dataset]) -> dict[str, xr.Dataset]:
    """Those whose middle half has at least `FEWEST_MIDDLE` layers."""
    return {n: d for n, d in datasets.items() if len(middle_layers(depth(d))) >= FEWEST_MIDDLE}
