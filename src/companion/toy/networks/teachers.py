"""Teachers, all at once: one pass gives the targets of every temperature and student."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from companion.errors import InputError
from companion.toy.networks.blocks import Weights, mlp, rmsnorm
from companion.toy.networks.draws import inputs, teacher_weights
from companion.toy.networks.students import Stack
from companion.toy.specification import Specification


@dataclass(frozen=True)
class Targets:
    """What the students learn from one batch, by teacher (and temperature).

    x and state have shape (teacher, batch, m); p and log_p, for a softmax target, have shape
    (teacher, temperature, batch, V), else None.
    """

    x: torch.Tensor
    state: torch.Tensor
    p: torch.Tensor | None = None
    log_p: torch.Tensor | None = None

    def entropy(self) -> torch.Tensor:
        """Entropy of each target in nats, (teacher, temperature, batch)."""
        if self.p is None or self.log_p is None:
            raise InputError("only a softmax target (loss 'kl') has an entropy")
        return -(self.p * self.log_p).sum(-1)


class Teachers:
    """All teachers of a specification, ready to answer batches."""

    def __init__(self, spec: Specification, device, dtype) -> None:
        self.spec, self.device, self.dtype = spec, device, dtype
        self.temperatures = torch.tensor(spec.temperatures, dtype=dtype, device=device)
        if spec.teacher == "residual":
            each = [teacher_weights(spec, t) for t in range(len(spec.rho) * spec.teachers)]
            self.head = torch.stack([head for _, head in each]).to(dtype).to(device)
            self.blocks: list[Weights] = [
                {
                    k: torch.stack([b[i][k] for b, _ in each]).to(dtype).to(device)
                    for k in each[0][0][0]
                }
                for i in range(spec.teacher_depth)
            ]

    def respond(self, stream: int, step: int) -> Targets:
        """Targets of the batch that `draws.inputs` gives for that stream and step."""
        return self.answer(inputs(self.spec, stream, step, self.device).to(self.dtype))

    @torch.no_grad()
    def answer(self, x: torch.Tensor) -> Targets:
        """Targets for the inputs x (teacher, batch, m)."""
        if self.spec.teacher == "parity":
            return Targets(x, chains(x, self.spec.teacher_depth))
        h = rmsnorm(x)
        for block in self.blocks:
            h = h + mlp(h, block)
        state = rmsnorm(h)
        if self.spec.loss == "mse":
            return Targets(x, state)
        logits = torch.bmm(state, self.head).unsqueeze(1)
        log_p = (logits / self.temperatures[:, None, None]).log_softmax(-1)
        return Targets(x, state, log_p.exp(), log_p)


def chains(x: torch.Tensor, length: int) -> torch.Tensor:
    r"""Running products of signs, in chains of `length` neighbouring coordinates.

    .. math:: y_k = \prod_{j \le k} x_j

    A block multiplies two numbers that it finds in the state (a product is a difference of
    squares), so k links can be built in about log2(k) blocks in sequence. One very wide block
    could represent them too; gradient descent finds the links one after another.
    """
    return x.unflatten(-1, (-1, length)).cumprod(-1).flatten(-2)


def losses(stack: Stack, targets: Targets, head: torch.Tensor | None = None) -> torch.Tensor:
    """Loss of each sample, (member, batch): KL(target, student) in nats, or squared error over m.

    Parameters
    ----------
    stack : Stack
        Students.
    targets : Targets
        Answers of all teachers on the batch.
    head : torch.Tensor, optional
        The teachers' heads (teacher, m, V), where the students are given theirs.
    """
    teacher, temperature = stack.teacher, stack.temperature
    final = stack.final(targets.x[teacher])
    if targets.p is None or targets.log_p is None:
        return (final - targets.state[teacher]).square().mean(-1)
    p, log_p = targets.p[teacher, temperature], targets.log_p[teacher, temperature]
    log_q = _log_q(stack, final, head)
    return (p * log_p).sum(-1) - (p * log_q).sum(-1)


def _log_q(stack: Stack, final: torch.Tensor, head: torch.Tensor | None) -> torch.Tensor:
    if head is None:
        return torch.bmm(final, stack.weights[-1]["head"]).log_softmax(-1)
    return (torch.bmm(final, head[stack.teacher]) / stack.tau[:, None, None]).log_softmax(-1)
