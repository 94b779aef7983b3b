"""How a long run looks on standard error: bars on a terminal, a line every ten seconds elsewhere.

Both tell the time that is left. Every command hands the same callback, `companion.runs.Progress`,
to the room that does the work.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from companion.runs.progress import Every, Pace, Progress, in_words

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

LINE_SECONDS = 10.0


@contextlib.contextmanager
def shown(unit: str) -> Iterator[Progress]:
    """Give the callback that shows how far a run is.

    Parameters
    ----------
    unit : str
        What is counted, e.g. "tokens".
    """
    if not sys.stderr.isatty():
        yield Lines(unit)
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    count = TextColumn(f"{{task.completed:.0f}}/{{task.fields[of]}} {unit}")
    columns = (TextColumn("{task.description:24}"), BarColumn(), count, TimeRemainingColumn())
    with Bars(*columns, TextColumn("{task.fields[note]}"), console=Console(stderr=True)) as bars:
        yield _Rows(bars)


class Lines:
    """Plain lines: the first and the last report of a task, and one every `LINE_SECONDS`.

    Parameters
    ----------
    unit : str
        What is counted.
    """

    def __init__(self, unit: str) -> None:
        self.unit = unit
        self.often = Every(LINE_SECONDS)
        self.paces: dict[str, Pace] = {}

    def __call__(self, done: float, total: float | None, /, note: str = "", task: str = "") -> None:
        first, ended = task not in self.paces, done == total
        left = self.paces.setdefault(task, Pace()).left(done, total)
        if self.often.due() or (task and (first or ended)):
            of = "" if total is None or ended else f" of {total:.0f}"
            count = f"{done:.0f}{of} {self.unit}" if done else ""
            said = ", ".join(filter(None, (count, note, "" if ended else in_words(left))))
            typer.echo(f"{task}: {said}" if task else said, err=True)


class _Rows:
    """A bar for each task."""

    def __init__(self, bars: Bars) -> None:
        self.bars = bars
        self.rows: dict[str, TaskID] = {}

    def __call__(self, done: float, total: float | None, /, note: str = "", task: str = "") -> None:
        of = "?" if total is None else f"{total:.0f}"
        if task not in self.rows:
            self.rows[task] = self.bars.add_task(task, total=total, note=note, of=of)
        self.bars.update(self.rows[task], completed=done, total=total, note=note, of=of)
