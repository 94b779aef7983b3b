"""Execute chapters in parallel, and skip those whose last run is still good."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from companion.chapters.executor import Executor, Job
from companion.chapters.fingerprint import chapter_fingerprint, environment_hash
from companion.chapters.forecast import expected_seconds
from companion.chapters.source import Book, Chapter
from companion.errors import RunError
from companion.runs import Progress, silent
from companion.settings import Number, Whole, settings


@settings("execution")
class Execution:
    """How chapters are executed.

    Parameters
    ----------
    timeout : float
        Seconds that one chapter may take.
    force : bool
        Run also what is still good.
    """

    timeout: Annotated[Number, Field(gt=0)] = 3600.0
    force: bool = False


@settings("execution")
class ParallelExecution(Execution):
    """How many chapters are executed at the same time, besides.

    Parameters
    ----------
    jobs : int
        Chapters at a time, 0 for one a core; they share the cores out among themselves.
    """

    jobs: Annotated[Whole, Field(ge=0)] = 0


class ChapterError(RunError):
    """Chapters did not run through; says which, why, and where their partial notebooks are."""


def job(
    chapter: Chapter, given: Mapping[str, Any], environment: str, output: Path, partial: Path
) -> Job:
    """Check the parameters and lay out one run; `environment` is `environment_hash(book)`.

    Raises
    ------
    InputError
        If a parameter is unknown, of the wrong type or out of range.
    """
    values = chapter.values(given)
    return Job(
        chapter=chapter.name,
        source=chapter.path,
        given={name: values[name] for name in given},
        values=values,
        fingerprint=chapter_fingerprint(chapter, values, environment),
        output=output,
        partial=partial,
        expected=expected_seconds(chapter, values, output),
    )


def stage_jobs(book: Book, chapters: Sequence[Chapter], profile: str) -> list[Job]:
    """The runs that the book is made of, under one profile, the longest first."""
    parameters = book.profile(profile)
    environment = environment_hash(book)
    jobs = [
        job(
            chapter,
            parameters.get(chapter.name, {}),
            environment,
            output=book.staged(chapter.name),
            partial=book.partial / chapter.path.name,
        )
        for chapter in chapters
    ]
    return sorted(jobs, key=lambda one: -(one.expected or math.inf))


def execute(wanted: Sequence[Job], *, progress: Progress = silent, **how: Any) -> list[str]:
    """Run jobs in their order, several at a time.

    Parameters
    ----------
    wanted : sequence of Job
    progress : Progress
        Called with the seconds done and expected of a chapter (its name is the task) or of all,
        from several threads, one at a time.
    **how
        See `Execution` and `ParallelExecution`.

    Returns
    -------
    list of str
        The chapters that were run.

    Raises
    ------
    ChapterError
        If a chapter failed; the others have run to their end, partial notebooks are kept.
    """
    chosen = ParallelExecution(**how)
    due = [one for one in wanted if chosen.force or not one.fresh]
    for one in wanted:
        if one not in due:
            progress(0, 0, note="unchanged, not run again", task=one.chapter)
    if due:
        _run_all(due, chosen.jobs, chosen.timeout, progress)
    return [one.chapter for one in due]


def _run_all(due: Sequence[Job], processes: int, timeout: float, progress: Progress) -> None:
    at_a_time = min(processes or _cores(), len(due))
    executor = Executor(due, at_a_time, max(1, _cores() // at_a_time), timeout, progress)
    with ThreadPoolExecutor(at_a_time) as pool:
        running = [pool.submit(executor.run, one) for one in due]
        try:
            reasons = [future.result() for future in running]
        except BaseException:
            executor.stop()
            raise
    failed = [_sentence(one, why) for one, why in zip(due, reasons, strict=True) if why]
    if failed:
        raise ChapterError("\n".join(failed))


def _sentence(one: Job, why: str) -> str:
    kept = f"; what there is of it is in {one.partial}" if one.partial.exists() else ""
    return f"chapter {one.chapter} failed: {why}{kept}"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
