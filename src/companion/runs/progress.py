"""How far is a run, and how long will the rest take: one shape for every callback."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol


class Progress(Protocol):
    """What every long function calls as it goes on.

    A function of `done` and `total` alone will do wherever a run has nothing more to say; the
    doc of each `progress` parameter says what is counted.
    """

    def __call__(self, done: float, total: float | None, /, note: str = "", task: str = "") -> None:
        """Take a report.

        Parameters
        ----------
        done, total : float
            Units done, and in all; None where that is not known beforehand.
        note : str
            Figures of the moment, e.g. "loss 2.31".
        task : str
            Which of several things that go on at the same time, or one after another.
        """
        ...


def silent(done: float, total: float | None, /, note: str = "", task: str = "") -> None:
    """The callback of a run that nobody watches."""


class Every:
    """True once every so many seconds: when to write a checkpoint or say a line.

    Parameters
    ----------
    seconds : float
    at_once : bool
        Whether the first question is answered with yes.
    """

    def __init__(self, seconds: float, at_once: bool = False) -> None:
        self.seconds = seconds
        self.last = float("-inf") if at_once else time.monotonic()

    def due(self) -> bool:
        """Whether the time has come; if so, it starts anew."""
        now = time.monotonic()
        if now - self.last < self.seconds:
            return False
        self.last = now
        return True


class Pace:
    r"""Seconds left, :math:`(t - t_0) (n - k) / (k - k_0)`, from what this process has done.

    What was done already at the first report (a run that was resumed) does not count as fast.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.began: tuple[float, float] | None = None

    def left(self, done: float, total: float | None) -> float | None:
        """Seconds left after `done` of `total` units; None while that cannot be known.

        Until something has been reported done there is no rate; the first report starts the clock.
        """
        now = self.clock()
        if self.began is None:
            self.began = now, done
        began, first = self.began
        if total is None or done <= first:
            return None
        return (now - began) * (total - done) / (done - first)


def in_words(seconds: float | None) -> str:
    """A time left for people, e.g. "about 3 min left"; empty where it is not known."""
    if seconds is None:
        return ""
    if seconds < 90:
        return f"about {seconds:.0f} s left"
    minutes = seconds / 60
    return f"about {minutes:.0f} min left" if minutes < 90 else f"about {minutes / 60:.1f} h left"
