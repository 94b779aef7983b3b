"""The batched engine: all students of all depths, temperatures and teachers, side by side.

Per step there is one teacher pass, shared by every temperature and student. Students of one
depth are one stack of tensors. On a CPU the stacks, and the teacher's pass for the next batch,
are jobs for single-threaded workers: no job waits for another within a step, and the numbers do
not depend on how many workers there are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch

from companion.errors import InputError
from companion.runtime import Runtime, free_memory
from companion.toy.networks import draws
from companion.toy.networks.blocks import BLOCKS
from companion.toy.networks.students import Stack, members
from companion.toy.networks.teachers import Targets, Teachers, losses
from companion.toy.specification import Specification

CACHED = 1 << 18
"""Hidden activations of one block: on a CPU several stacks of so many are faster than one."""

ADAM = ("exp_avg", "exp_avg_sq", "step")


@dataclass(frozen=True)
class Test:
    """Losses on fresh data at one step: mean and standard error, (depth, member)."""

    mean: np.ndarray
    sem: np.ndarray


class Engine:
    """Students under training; `step` counts the steps done.

    Parameters
    ----------
    spec : Specification
        What to train.
    runtime : Runtime
        Device, and dtype float32 or float64. TF32 stays off, as is torch's default: nothing has
        shown yet that it does no harm here.
    group : int, optional
        Members of a depth in one stack; by default as many as memory allows and, on a CPU, as
        share its cache.

    Raises
    ------
    InputError
        If the dtype is another, or memory too small.
    """

    def __init__(self, spec: Specification, runtime: Runtime, group: int | None = None) -> None:
        if runtime.dtype not in ("float32", "float64"):
            raise InputError(
                f"toy experiments train in float32 or float64, not {runtime.dtype}: "
                'use Runtime.choose(device, "float32")'
            )
        self.spec, self.device, self.dtype = spec, runtime.device, runtime.torch_dtype
        fit = members_that_fit(spec, self.device, self.dtype.itemsize) if group is None else group
        self.group = fit
        self.teachers = Teachers(spec, self.device, self.dtype)
        everyone = members(spec)
        parts = [everyone[i : i + self.group] for i in range(0, len(everyone), self.group)]
        self.stacks = [
            Stack(spec, ell, part, self.device, self.dtype)
            for ell in sorted(spec.depths, reverse=True)
            for part in parts
        ]
        self.optimizers = [
            torch.optim.Adam(stack.parameters().values(), lr=spec.lr, fused=True)
            for stack in self.stacks
        ]
        self.start_adam()
        self.step = 0
        self._pool: ThreadPoolExecutor | None = None
        self._next: Future | None = None

    @contextlib.contextmanager
    def workers(self) -> Iterator[None]:
        """Run the jobs of each step on as many single-threaded workers as torch has threads."""
        threads = torch.get_num_threads()
        if self.device != "cpu" or threads == 1:
            yield
            return
        torch.set_num_threads(1)
        try:
            with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as p:
                self._pool = p
                yield
        finally:
            self._pool, self._next = None, None
            torch.set_num_threads(threads)

    def start_adam(self) -> None:
        """Give Adam its state before the first step: averages of zero, no step taken."""
        for stack, adam in zip(self.stacks, self.optimizers, strict=True):
            for weight in stack.parameters().values():
                zeros = [torch.zeros_like(weight) for _ in range(2)]
                step = torch.zeros((), dtype=torch.float32, device=weight.device)
                adam.state[weight] = dict(zip(ADAM, (*zeros, step), strict=True))

    def advance(self) -> list[torch.Tensor]:
        """One step of Adam for every student; the training losses (member,) of each stack."""
        self.set_rates()
        losses = self.train(self._next.result() if self._next else self._answer(self.step))
        self.step += 1
        return losses

    def set_rates(self) -> None:
        """Learning rates of this step."""
        for stack, adam in zip(self.stacks, self.optimizers, strict=True):
            rate = self.spec.learning_rate(stack.ell, self.step)
            for group in adam.param_groups:
                if isinstance(group["lr"], torch.Tensor):
                    group["lr"].fill_(rate)
                else:
                    group["lr"] = rate

    def train(self, targets: Targets) -> list[torch.Tensor]:
        """Gradients and Adam's step for all stacks, by the workers if there are some."""
        pairs = list(zip(self.stacks, self.optimizers, strict=True))
        if self._pool is None:
            return [self._train(*pair, targets) for pair in pairs]
        jobs = [self._pool.submit(self._train, *pair, targets) for pair in pairs]
        self._next = self._pool.submit(self._answer, self.step + 1)
        return [job.result() for job in jobs]

    def loss(self, stack: Stack, targets: Targets) -> torch.Tensor:
        """Mean loss of each student of a stack, (member,)."""
        return losses(stack, targets, self._head()).mean(1)

    def test(self) -> Test:
        """Losses of all students on fresh data, the same at every step."""
        total = np.zeros((2, len(self.spec.depths), self.spec.members))
        for batch in range(self.spec.test_batches):
            targets = self._answer(batch, draws.TEST)
            with torch.no_grad():
                for stack, place in self.places():
                    each = losses(stack, targets, self._head()).cpu().double()
                    total[0][place] += each.sum(1).numpy()
                    total[1][place] += each.square().sum(1).numpy()
        n = self.spec.test_batches * self.spec.batch
        mean = total[0] / n
        return Test(mean, np.sqrt(np.maximum(total[1] / n - mean**2, 0) / n))

    def entropy(self) -> np.ndarray:
        """Mean entropy of the targets in nats, (teacher, temperature); NaN without softmax."""
        return mean_entropy(self.teachers, self.spec)

    @torch.no_grad()
    def hidden_states(self, stack: Stack, batch: int = 0) -> torch.Tensor:
        """Residual streams of a stack on fresh data, (member, layer, sample, m)."""
        x = draws.inputs(self.spec, draws.TEST, batch, self.device).to(self.dtype)
        return torch.stack(stack.states(x[stack.teacher]), dim=1)

    def places(self) -> Iterator[tuple[Stack, tuple[int, slice]]]:
        """Each stack with its place in an array (depth, member)."""
        order = {ell: i for i, ell in enumerate(self.spec.depths)}
        start = dict.fromkeys(self.spec.depths, 0)
        for stack in self.stacks:
            first = start[stack.ell]
            start[stack.ell] = first + len(stack.members)
            yield stack, (order[stack.ell], slice(first, start[stack.ell]))

    def _answer(self, step: int, stream: int = draws.TRAIN) -> Targets:
        return self.teachers.respond(stream, step)

    def _train(self, stack: Stack, adam: torch.optim.Adam, targets: Targets) -> torch.Tensor:
        each = self.loss(stack, targets)
        adam.zero_grad()
        each.sum().backward()
        adam.step()
        return each.detach()

    def _head(self) -> torch.Tensor | None:
        return self.teachers.head if self.spec.head == "given" else None


def mean_entropy(teachers: Teachers, spec: Specification) -> np.ndarray:
    """Mean entropy of the targets on fresh data in nats, (teacher, temperature); NaN for "mse"."""
    if spec.loss == "mse":
        return np.full((len(spec.rho) * spec.teachers, 1), np.nan)
    each = [teachers.respond(draws.TEST, i).entropy().mean(-1) for i in range(spec.test_batches)]
    return torch.stack(each).mean(0).cpu().double().numpy()


def members_that_fit(spec: Specification, device: str, itemsize: int) -> int:
    """How many members of the deepest students fit in half of the free memory, at least 1, and
    no more than the device is fast with.

    Weights, gradients and Adam's averages of all students are there at any time and come first.

    Raises
    ------
    InputError
        If not even one does.
    """
    evaluations = BLOCKS[spec.block].evaluations
    states = max(spec.depths) * (evaluations * (spec.hidden + 2 * spec.width) + spec.width)
    readout = 8 * spec.vocabulary if spec.loss == "kl" else 0
    each = spec.batch * (states + readout) * itemsize
    blocks = sum(spec.depths) * evaluations * 2 * spec.width * spec.hidden
    heads = len(spec.depths) * spec.width * spec.vocabulary if spec.head == "learned" else 0
    weights = 4 * spec.members * (blocks + heads) * itemsize
    free = free_memory(device)
    fit = max(free - weights, 0) // 2 // each
    if fit < 1:
        raise InputError(
            f"{spec.members} students of each depth and batch {spec.batch} need "
            f"{(weights + 2 * each) / 2**30:.1f} GiB free on {device}, which has "
            f"{free / 2**30:.1f}: make width, depths or batch smaller"
        )
    if device == "cpu":
        fit = min(fit, max(1, CACHED // (spec.batch * spec.hidden)))
    return min(spec.members, fit)
