"""The processes that execute chapters: started, followed, and all ended on an interrupt."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from companion.chapters.forecast import Forecast, last_run
from companion.runs import Progress

GRACE = 10.0
ALL = "all chapters"
_THREAD_LIMITS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Job:
    """One run of a chapter: what to execute, with what, and where its parts are to lie.

    `given` are the parameters that differ from the defaults, `values` all of them; `partial` is
    the notebook while it is not whole, `output` once it is; `expected` the seconds it should take.
    """

    chapter: str
    source: Path
    given: Mapping[str, Any]
    values: Mapping[str, Any]
    fingerprint: str
    output: Path
    partial: Path
    expected: float | None = None

    @property
    def fresh(self) -> bool:
        """Whether `output` is a whole run of exactly this job."""
        return last_run(self.output).get("fingerprint") == self.fingerprint


class Executor:
    """Runs jobs, each in a process of its own.

    Parameters
    ----------
    jobs : sequence of Job
        All that will be run, in their order.
    processes, threads : int
        How many jobs run at the same time, and the threads of each.
    timeout : float
        Seconds that one job may take.
    progress : Progress
        Called with the seconds that a chapter has taken and should take, its name as the task; and,
        where there are several, with those of `ALL` of them.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        processes: int,
        threads: int,
        timeout: float,
        progress: Progress,
    ) -> None:
        self.threads, self.timeout, self.progress = threads, timeout, progress
        self.count, self.done = len(jobs), 0
        self.forecast = Forecast([job.expected for job in jobs], processes)
        self.began = time.monotonic()
        self._live: set[subprocess.Popen] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run(self, job: Job) -> str:
        """Run one job to its end; gives why it failed, or "" after success."""
        with self._lock:
            if self._stopped:
                return "it was not started"
            process = _spawn(self.threads)
            self._live.add(process)
            began = time.monotonic()
            self.forecast.start(job.chapter, began)
            self._report(job, 0.0, "started")
        try:
            with process:
                reason = self._follow(process, job, began)
        finally:
            with self._lock:
                self._live.discard(process)
        with self._lock:
            self.done += 1
            self.forecast.end(job.chapter)
            self._report(job, time.monotonic() - began, "FAILED" if reason else "done", ended=True)
        return reason

    def stop(self) -> None:
        """End every process: asked first, so that it ends its kernel, then killed."""
        with self._lock:
            self._stopped = True
            live = list(self._live)
        for process in live:
            process.send_signal(signal.SIGTERM)
        for process in live:
            try:
                process.wait(GRACE)
            except subprocess.TimeoutExpired:
                process.kill()

    def _follow(self, process: Any, job: Job, began: float) -> str:
        reason, complaints = "", []
        reader = threading.Thread(target=complaints.extend, args=(process.stderr,), daemon=True)
        reader.start()
        with contextlib.suppress(BrokenPipeError), process.stdin as order:
            json.dump(asdict(job) | {"timeout": self.timeout}, order, default=str)
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "cell":
                with self._lock:
                    taken = time.monotonic() - began
                    self._report(job, taken, f"cell {event['cell']} of {event['cells']}")
            reason = event.get("reason", reason)
        code = process.wait()
        reader.join(GRACE)
        if code and not reason:
            last = complaints[-1].strip() if complaints else "it left no message"
            return f"its process ended with code {code}: {last}"
        return reason

    def _report(self, job: Job, taken: float, note: str, ended: bool = False) -> None:
        """Seconds of one chapter, and of all of them where that can be told."""
        overdue = job.expected is None or taken > job.expected
        total = taken if ended else None if overdue else job.expected
        self.progress(taken, total, note=note, task=job.chapter)
        if self.count > 1:
            now = time.monotonic()
            spent, left = now - self.began, self.forecast.left(now)
            at_the_end = None if left is None else spent + left
            said = f"{self.done} of {self.count} done"
            self.progress(spent, at_the_end, note=said, task=ALL)


def _spawn(threads: int) -> Any:
    """Start a process here, where relative paths mean what the caller means, but import nothing."""
    return subprocess.Popen(
        [sys.executable, "-m", "companion.chapters.notebook", str(os.getpid())],
        env=os.environ | {"PYTHONSAFEPATH": "1"} | dict.fromkeys(_THREAD_LIMITS, str(threads)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
