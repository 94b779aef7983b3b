"""What stands first in a chapter: its answer in one or two sentences, made from its results."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from companion.evidence.probes.depth_report import EVEN, Reading, strength
from companion.evidence.probes.geometry import INVERSE
from companion.evidence.probes.probing import LossNumbers, above_guess
from companion.probing.compare_models import short_name
from companion.statistics.intervals import Interval

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


def of_readings(readings: Iterable[Reading]) -> str:
    """How evenly middle layers turn the state and how alike their updates are, one model each."""
    sentences = [
        f"In {short_name(one.model)} ({one.ell} blocks) middle layers turn the state "
        f"{evenly(one.evenness)} (participation {one.evenness:.2f})"
        + (
            f"; their updates are {strength(one.correlation.estimate)} (cosine "
            f"{one.correlation:.2f})."
            if one.correlation
            else "."
        )
        for one in readings
    ]
    return " ".join(sentences)


def of_loss(reading: Reading, losses: LossNumbers, others: Iterable[xr.Dataset]) -> str:
    """How the loss falls by layer in one model, and what the same lens reads in others' middle."""
    share = reading.loss_evenness
    how = f", {evenly(share)} over the middle layers (participation {share:.2f})" if share else ""
    moves = "falls" if losses.own < losses.first else "rises"
    sentences = [
        f"In {short_name(reading.model)} the loss {moves} from {losses.first:.2f} nats per token "
        f"at the embedding to {losses.own:.2f} at the end{how}."
    ]
    return " ".join([*sentences, *map(_beside_a_guess, others)])


def evenly(share: Interval) -> str:
    """The word for a participation, as its claim is judged: by the interval."""
    if share.low >= EVEN:
        return "evenly"
    return "in few steps" if share.high < EVEN else "not clearly evenly"


def _beside_a_guess(dataset: xr.Dataset) -> str:
    name, away = short_name(dataset.attrs["model"]), above_guess(dataset)
    if away.high < 0:
        return f"In the middle of {name} it reads {-away.estimate:.1f} nats better than a guess."
    if away.low <= 0:
        return f"In the middle of {name} it reads no better than a guess, and no worse."
    return (
        f"In the middle of {name} it reads {away.estimate:.1f} nats worse than a uniform guess, so "
        "that a fall there is no prediction's loss."
    )


def of_training(frame: pd.DataFrame) -> str:
    """The exponent of the rotation at the first checkpoint and at the last."""
    first, last = frame.iloc[0], frame.iloc[-1]
    low, high = INVERSE
    there = "whether it reaches an inverse law stays open"
    if low <= last.low and last.high <= high:
        there = "in these trainings it reaches an inverse law"
    if last.high < low or last.low > high:
        there = "in these trainings it does not reach an inverse law"
    return (
        f"At the start the mean rotation goes as depth to the power {_of(first)}, at the last "
        f"checkpoint to the power {_of(last)}: {there}."
    )


def _of(row: pd.Series) -> str:
    return f"{row.estimate:.2f} [{row.low:.2f}, {row.high:.2f}]"
