"""Train the students of a design and keep their weights: one safetensors file for each task."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import torch

from companion.files import atomic
from companion.provenance import provenance
from companion.runs import Progress, claimed, silent
from companion.runtime import Runtime
from companion.toy.calibration.design import Design, Task, tasks
from companion.toy.networks import draws
from companion.toy.networks.teachers import Targets, Teachers
from companion.toy.training.engine import Engine

TIMED_STEPS = 3
Answers = dict[tuple[int, int], Targets]
"""What teachers answer to batches, by stream and step."""


class CalibrationEngine(Engine):
    """The toy engine with teachers that move the state more or less, and a choice of data.

    Parameters
    ----------
    task : Task
    runtime : Runtime
    data : int
        Which stretch of the stream of training data: students of different `data` share no batch.
    answers : dict, optional
        Keeps what the teachers answer, for other engines with the same teachers and batches.
    """

    def __init__(
        self, task: Task, runtime: Runtime, data: int = 0, answers: Answers | None = None
    ) -> None:
        super().__init__(task.spec, runtime)
        self.data, self.answers = data, answers
        scale_teachers(self.teachers, task)

    def _answer(self, step: int, stream: int = draws.TRAIN) -> Targets:
        moved = step + self.data * self.spec.steps if stream == draws.TRAIN else step
        if self.answers is None:
            return super()._answer(moved, stream)
        if (stream, moved) not in self.answers:
            self.answers[stream, moved] = super()._answer(moved, stream)
        return self.answers[stream, moved]


def scale_teachers(teachers: Teachers, task: Task) -> None:
    """Multiply the last matrix of every block of each teacher by the gain of that teacher."""
    if task.spec.teacher != "residual":
        return
    count = len(task.spec.rho) * task.spec.teachers
    gains = torch.tensor([task.gain(t) for t in range(count)], dtype=teachers.dtype)
    for block in teachers.blocks:
        block["W2"] *= gains.to(teachers.device)[:, None, None]


def train(
    chosen: Design,
    out: str | Path,
    runtime: Runtime,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
) -> list[Path]:
    """Train all students; what is finished already is not trained again.

    Parameters
    ----------
    chosen : Design
    out : path
        Folder of the weights, claimed by this run.
    runtime : Runtime
        float32 or float64.
    resume, overwrite : bool
        See `companion.runs.claimed`.
    progress : callable
        Called with (steps done, steps in all) of each task by name.

    Returns
    -------
    list of Path
        One file for each task.
    """
    with claimed(out, chosen.to_dict(), resume=resume, overwrite=overwrite) as folder:
        made = []
        for task in tasks(chosen):
            path = folder / f"{task.name}.safetensors"
            if not path.exists():
                save(trained(task, runtime, progress), task, path)
            made.append(path)
        return made


def trained(
    task: Task,
    runtime: Runtime,
    progress: Callable = silent,
    data: int = 0,
    answers: Answers | None = None,
) -> CalibrationEngine:
    """An engine whose students have been trained to the end; parameters as of the engine."""
    engine = CalibrationEngine(task, runtime, data, answers)
    with engine.workers():
        while engine.step < task.spec.steps:
            losses = engine.advance()
            if engine.step % 20 == 0 or engine.step == task.spec.steps:
                note = f"loss {float(torch.stack([one.mean() for one in losses]).mean()):.3g}"
                progress(engine.step, task.spec.steps, note=note, task=task.name)
    return engine


def estimate(chosen: Design, runtime: Runtime) -> float:
    """Seconds that `train` will take on this machine, from a few steps of every task."""
    return sum(seconds(task, runtime) for task in tasks(chosen))


def seconds(task: Task, runtime: Runtime) -> float:
    """Seconds that one task will take on this machine, from a few of its steps."""
    engine = CalibrationEngine(task, runtime)
    engine.advance()
    began = time.perf_counter()
    for _ in range(TIMED_STEPS):
        engine.advance()
    return (time.perf_counter() - began) / TIMED_STEPS * task.spec.steps


def save(engine: CalibrationEngine, task: Task, path: Path) -> None:
    """Write the students' weights with what they are and how they came to be."""
    from safetensors.torch import save as serialised

    tensors = {
        f"{stack.ell}.{name}": weight.detach().cpu().contiguous()
        for stack in engine.stacks
        for name, weight in stack.parameters().items()
    }
    stamp = provenance(Runtime.choose(engine.device, "float32", task.spec.seed), {})
    facts = {"regime": task.regime, "specification": task.spec.to_dict(), "gains": task.gains}
    with atomic(path) as temporary:
        temporary.write_bytes(
            serialised(tensors, {"companion": json.dumps(facts | {"provenance": stamp})})
        )
