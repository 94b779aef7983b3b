"""How long will a build take? From what each chapter took last time, or says that it takes."""

from __future__ import annotations

import heapq
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from companion.chapters.source import Chapter


def expected_seconds(chapter: Chapter, values: Mapping[str, Any], output: Path) -> float | None:
    """What a run should take.

    Parameters
    ----------
    chapter : Chapter
    values : mapping
        All parameters of the run.
    output : Path
        The executed notebook of an earlier run, if there is one.

    Returns
    -------
    float or None
        Seconds: as measured with the same parameters, or the minutes that the chapter declares for
        its defaults; None where neither is known.
    """
    earlier = last_run(output)
    if earlier.get("parameters") == values:
        return earlier["seconds"]
    return 60 * chapter.minutes if values == chapter.values({}) else None


def last_run(output: Path) -> dict[str, Any]:
    """What a run wrote into its executed notebook, empty without one."""
    try:
        notebook = json.loads(output.read_text("utf-8"))
    except (OSError, json.JSONDecodeError):
        return {}
    return notebook["metadata"].get("companion", {}).get("run", {})


@dataclass
class Forecast:
    """The end of several runs on several processes, begun in the order in which they are listed.

    Parameters
    ----------
    waiting : list of float or None
        Expected seconds of the runs that have not begun.
    processes : int
        How many go on at the same time.
    """

    waiting: list[float | None]
    processes: int
    running: dict[str, tuple[float, float | None]] = field(default_factory=dict)

    def start(self, name: str, now: float) -> None:
        """The next run begins at `now`."""
        self.running[name] = now, self.waiting.pop(0)

    def end(self, name: str) -> None:
        """A run is over."""
        self.running.pop(name, None)

    def left(self, now: float) -> float | None:
        """Seconds until the last run ends; None where one run's time is not known."""
        ends = [None if s is None else max(0.0, s - now + at) for at, s in self.running.values()]
        return _makespan(ends, self.waiting, self.processes)


def _makespan(
    busy: Sequence[float | None], waiting: Sequence[float | None], processes: int
) -> float | None:
    """When the last of `waiting` is done if each starts as soon as a process is free."""
    if None in busy or None in waiting:
        return None
    free = [seconds for seconds in busy if seconds is not None]
    free += [0.0] * (processes - len(free))
    heapq.heapify(free)
    for seconds in waiting:
        heapq.heappush(free, heapq.heappop(free) + (seconds or 0.0))
    return max(free, default=0.0)
