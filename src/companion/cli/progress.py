"""How running chapters look on standard error: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from companion.chapters import Event

_SAYS = {
    "skipped": "unchanged, not run again",
    "started": "started",
    "done": "done",
    "failed": "FAILED",
}


@contextlib.contextmanager
def shown() -> Iterator[Callable[[Event], None]]:
    """Give the callback to hand to `companion.chapters.execute`."""
    if sys.stderr.isatty():
        with _bars() as tell:
            yield tell
    else:
        yield _lines()


def _lines() -> Callable[[Event], None]:
    begun: dict[str, float] = {}

    def tell(event: Event) -> None:
        if event.kind == "started":
            begun[event.chapter] = time.monotonic()
        if event.kind in _SAYS:
            took = time.monotonic() - begun.get(event.chapter, 0.0)
            after = f" after {took:.1f} s" if event.kind in ("done", "failed") else ""
            print(f"{event.chapter}: {_SAYS[event.kind]}{after}", file=sys.stderr, flush=True)

    return tell


@contextlib.contextmanager
def _bars() -> Iterator[Callable[[Event], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:24}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[said]:26}"),
        TimeElapsedColumn(),
    )
    tasks = {}
    with Progress(*columns, console=Console(stderr=True)) as progress:

        def tell(event: Event) -> None:
            if event.chapter not in tasks:
                tasks[event.chapter] = progress.add_task(event.chapter, total=None, said="")
            task = tasks[event.chapter]
            if event.kind == "cell":
                said = f"cell {event.cell}"
                progress.update(task, completed=event.cell - 1, total=event.cells, said=said)
            else:
                progress.update(task, said=_SAYS[event.kind])
            if event.kind in ("done", "skipped"):
                total = progress.tasks[task].total or 1
                progress.update(task, completed=total, total=total)
            if event.kind != "cell" and event.kind != "started":
                progress.stop_task(task)

        yield tell
