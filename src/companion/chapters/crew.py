"""The worker processes at work on chapters: started, followed, and all ended on an interrupt."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

GRACE = 10.0
_THREAD_LIMITS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Event:
    """What just happened to a chapter: "skipped", "started", "cell", "done" or "failed"."""

    chapter: str
    kind: str
    cell: int = 0
    cells: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Job:
    """One run of a chapter: what to execute, with what, and where its parts are to lie.

    `given` are the parameters that differ from the defaults, `values` all of them; `partial` is
    the notebook while it is not whole, `output` once it is.
    """

    chapter: str
    source: Path
    given: Mapping[str, Any]
    values: Mapping[str, Any]
    fingerprint: str
    output: Path
    partial: Path

    @property
    def fresh(self) -> bool:
        """Whether `output` is a whole run of exactly this job."""
        try:
            notebook = json.loads(self.output.read_text("utf-8"))
        except (OSError, json.JSONDecodeError):
            return False
        run = notebook["metadata"].get("companion", {}).get("run", {})
        return run.get("fingerprint") == self.fingerprint


@dataclass
class Crew:
    """Runs jobs, each in a process of its own with `threads` threads and `timeout` seconds."""

    threads: int
    timeout: float
    progress: Callable[[Event], None]
    _live: set[subprocess.Popen] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stopped: bool = False

    def work(self, job: Job) -> str:
        """Run one job to its end; gives why it failed, or "" after success."""
        with self._lock:
            if self._stopped:
                return "it was not started"
            worker = _spawn(self.threads)
            self._live.add(worker)
        self._tell(Event(job.chapter, "started"))
        try:
            with worker:
                reason = self._follow(worker, job)
        finally:
            with self._lock:
                self._live.discard(worker)
        self._tell(Event(job.chapter, "failed" if reason else "done", reason=reason))
        return reason

    def stop(self) -> None:
        """End every worker: asked first, so that it ends its kernel, then killed."""
        with self._lock:
            self._stopped = True
            live = list(self._live)
        for worker in live:
            worker.send_signal(signal.SIGTERM)
        for worker in live:
            try:
                worker.wait(GRACE)
            except subprocess.TimeoutExpired:
                worker.kill()

    def _follow(self, worker: Any, job: Job) -> str:
        reason, complaints = "", []
        reader = threading.Thread(target=complaints.extend, args=(worker.stderr,), daemon=True)
        reader.start()
        with contextlib.suppress(BrokenPipeError), worker.stdin as order:
            json.dump(asdict(job) | {"timeout": self.timeout}, order, default=str)
        for line in worker.stdout:
            event = json.loads(line)
            if event["event"] == "cell":
                self._tell(Event(job.chapter, "cell", event["cell"], event["cells"]))
            reason = event.get("reason", reason)
        code = worker.wait()
        reader.join(GRACE)
        if code and not reason:
            last = complaints[-1].strip() if complaints else "it left no message"
            return f"its process ended with code {code}: {last}"
        return reason

    def _tell(self, event: Event) -> None:
        with self._lock:
            self.progress(event)


def _spawn(threads: int) -> Any:
    """Start a worker here, where relative paths mean what the caller means, but import nothing."""
    return subprocess.Popen(
        [sys.executable, "-m", "companion.chapters.worker"],
        env=os.environ | {"PYTHONSAFEPATH": "1"} | dict.fromkeys(_THREAD_LIMITS, str(threads)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
