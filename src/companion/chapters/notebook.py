"""The process that executes one chapter: ``python -m companion.chapters.notebook PARENT < job``.

It says on its standard output, a JSON object a line, which cell runs and how it ended. A dead
kernel or a timeout leaves a notebook whose metadata calls every cell completed, so only the
exception and the exit code are believed, and the notebook gets its name only after success.
When the process PARENT is gone it ends, and ends its kernel.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from companion.files import atomic
from companion.runs import end_with_parent

Tell = Callable[..., None]


class _TimeUp(Exception):
    pass


def main() -> int:
    """Execute the job on standard input; 0 only if the whole chapter succeeded."""
    job = json.load(sys.stdin)
    tell = _teller()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    end_with_parent(int(sys.argv[1]))
    signal.signal(signal.SIGALRM, _time_up)
    started = time.monotonic()
    try:
        signal.setitimer(signal.ITIMER_REAL, job["timeout"])
        notebook = _execute(job, tell)
        signal.setitimer(signal.ITIMER_REAL, 0)
        _finish(notebook, job, round(time.monotonic() - started, 2))
    except (Exception, KeyboardInterrupt) as failure:
        signal.setitimer(signal.ITIMER_REAL, 0)
        tell(event="failed", reason=_reason(failure, job))
        return 1
    tell(event="done")
    return 0


def _execute(job: dict[str, Any], tell: Tell) -> Any:
    import papermill
    from papermill.engines import NBClientEngine, papermill_engines

    class Engine(NBClientEngine):
        @classmethod
        def execute_managed_notebook(cls, nb_man, kernel_name, **kwargs):
            report = nb_man.cell_start

            def cell_start(cell, cell_index=0, **more):
                tell(event="cell", cell=cell_index + 1, cells=len(nb_man.nb.cells))
                report(cell, cell_index, **more)

            nb_man.cell_start = cell_start
            return super().execute_managed_notebook(nb_man, kernel_name, **kwargs)

    papermill_engines.register("companion", Engine)
    Path(job["partial"]).parent.mkdir(parents=True, exist_ok=True)
    return papermill.execute_notebook(
        job["source"],
        job["partial"],
        parameters=job["given"],
        engine_name="companion",
        kernel_name="python3",
        language="python",
        progress_bar=False,
    )


def _finish(notebook: Any, job: dict[str, Any], seconds: float) -> None:
    """Write the run into the notebook, and give it its place."""
    import nbformat

    run = {"fingerprint": job["fingerprint"], "parameters": job["values"], "seconds": seconds}
    notebook.metadata.setdefault("companion", {})["run"] = run
    for path in ("input_path", "output_path"):
        notebook.metadata.papermill.pop(path, None)
    with atomic(job["output"]) as temporary:
        nbformat.write(notebook, temporary)
    Path(job["partial"]).unlink()


def _reason(failure: BaseException, job: dict[str, Any]) -> str:
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    match failure:
        case PapermillExecutionError():
            return f"cell [{failure.exec_count}] raised {failure.ename}: {failure.evalue}"
        case DeadKernelError():
            return "its kernel died: killed, crashed, or out of memory"
        case _TimeUp():
            return f"it was not done after {job['timeout']:g} s"
        case KeyboardInterrupt():
            return "it was interrupted"
        case OSError():
            return f"{failure.strerror or failure} ({failure.filename or 'while writing'})"
    return f"{type(failure).__name__}: {failure}"


def _time_up(signum: int, frame: Any) -> None:
    raise _TimeUp


def _teller() -> Tell:
    """Keep standard output for events alone; whatever else prints goes to standard error."""
    events = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    return lambda **event: print(json.dumps(event), file=events, flush=True)


if __name__ == "__main__":
    sys.exit(main())
