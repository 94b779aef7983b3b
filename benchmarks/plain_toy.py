"""Toy experiments in plain torch: one student after another, the teacher recomputed for each.

It shares only the draws with the engine. Tests hold the engine to it, `toy.py` measures against it.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from companion.toy.networks import draws
from companion.toy.networks.students import Member, student_weights
from companion.toy.specification import Specification


class Mlp(nn.Module):
    """W2 relu(W1 rmsnorm(h) + b1)^2."""

    def __init__(self, weights: draws.Weights, suffix: str = "") -> None:
        super().__init__()
        W1, b1, W2 = (weights[name + suffix] for name in ("W1", "b1", "W2"))
        m, hidden = W1.shape
        self.up = nn.Linear(m, hidden)
        self.down = nn.Linear(hidden, m, bias=False)
        self.up.weight.data, self.up.bias.data = W1.T.contiguous(), b1.clone()
        self.down.weight.data = W2.T.contiguous()

    def forward(self, h, scale=None):
        normed = F.rms_norm(h, h.shape[-1:])
        # No multiplication by one: the benchmark's baseline is to be as fast as it can.
        return self.down(F.relu(self.up(normed if scale is None else scale * normed)) ** 2)


class Euler(nn.Module):
    """h + mlp(h); `states` are h_0 .. h_l, each (batch, m). Variants change the update."""

    streams = 1

    def __init__(self, weights: draws.Weights) -> None:
        super().__init__()
        self.mlp = Mlp(weights)
        mlps = ("W1", "b1", "W2")
        own = {name: w.clone() for name, w in weights.items() if not name.startswith(mlps)}
        self.own = nn.ParameterDict(own)

    def forward(self, states):
        return states[-1] + self.mlp(states[-1])


class Midpoint(Euler):
    """h + mlp_2(h + mlp_1(h) / 2)."""

    def __init__(self, weights: draws.Weights) -> None:
        super().__init__(weights)
        self.second = Mlp(weights, "_mid")

    def forward(self, states):
        h = states[-1]
        return h + self.second(h + 0.5 * self.mlp(h))


class Gated(Euler):
    """keep * h + gate * mlp(h), channel by channel."""

    def forward(self, states):
        return self.own["keep"] * states[-1] + self.own["gate"] * self.mlp(states[-1])


class DepthAttention(Euler):
    """h + mlp(sum_i mix_i h_i) over all states so far."""

    def forward(self, states):
        read = torch.zeros_like(states[-1])
        for i, h in enumerate(states):
            read = read + self.own["mix"][i] * h
        return states[-1] + self.mlp(read)


class PostNorm(Euler):
    """rmsnorm(h + mlp(h))."""

    def forward(self, states):
        h = super().forward(states)
        return F.rms_norm(h, h.shape[-1:])


class ScaledNorm(Euler):
    """h + mlp(h), the normalised input divided by sqrt(number of the layer)."""

    def forward(self, states):
        return states[-1] + self.mlp(states[-1], len(states) ** -0.5)


class Streams(Euler):
    """h_r -> sum_s keep_rs h_s + write_r mlp(sum_s read_s h_s); states (stream, batch, m)."""

    streams = 2

    def forward(self, states):
        h, both = states[-1], range(self.streams)
        read, keep, write = (self.own[name] for name in ("read", "keep", "write"))
        update = self.mlp(sum(read[s] * h[s] for s in both))
        kept = [sum(keep[r, s] * h[s] for s in both) for r in both]
        return torch.stack([kept[r] + write[r] * update for r in both])


ORACLES = {
    "euler": Euler,
    "midpoint": Midpoint,
    "gated": Gated,
    "depth_attention": DepthAttention,
    "post_norm": PostNorm,
    "scaled_norm": ScaledNorm,
    "streams": Streams,
}


class Network(nn.Module):
    """Residual blocks between two normalisations, then a linear head if there is one."""

    def __init__(self, blocks: list[Euler], head: torch.Tensor | None = None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.streams = blocks[0].streams
        self.head = None if head is None else nn.Parameter(head.T.contiguous())

    def forward(self, x):
        h = F.rms_norm(x, x.shape[-1:])
        states = [torch.stack([h] * self.streams) if self.streams > 1 else h]
        for block in self.blocks:
            states.append(block(states))
        h = states[-1].mean(0) if self.streams > 1 else states[-1]
        h = F.rms_norm(h, h.shape[-1:])
        return h if self.head is None else F.linear(h, self.head)


def build_teacher(spec: Specification, teacher: int, dtype: torch.dtype) -> Network:
    """The residual teacher of that index, frozen."""
    blocks, head = draws.teacher_weights(spec, teacher)
    network = Network([Euler(w) for w in blocks], None if spec.head == "none" else head)
    return network.to(dtype).requires_grad_(False)


def build_student(
    spec: Specification, ell: int, member: Member, teacher: Network, dtype: torch.dtype
) -> Network:
    """The untrained student `member` of depth `ell`."""
    weights, kind = student_weights(spec, ell, member), ORACLES[spec.block]
    head = weights[-1]["head"] if spec.head == "learned" else None
    network = Network([kind(w) for w in weights[:ell]], head).to(dtype)
    if spec.head == "given" and teacher.head is not None:
        network.head = nn.Parameter(teacher.head.detach().clone(), requires_grad=False)
    return network


def loss(spec: Specification, member: Member, teacher: Network, student: Network, x):
    """Mean loss of the student on the samples x (batch, m)."""
    with torch.no_grad():
        target = teacher(x)
    if spec.loss == "mse":
        return F.mse_loss(student(x), target)
    tau = spec.temperatures[member.temperature]
    log_q = F.log_softmax(student(x) / (tau if spec.head == "given" else 1), dim=-1)
    log_p = F.log_softmax(target / tau, dim=-1)
    return F.kl_div(log_q, log_p, reduction="batchmean", log_target=True)


class Plain:
    """One student under training, with a teacher of its own; `history` keeps its losses."""

    def __init__(
        self, spec: Specification, ell: int, member: Member, dtype: torch.dtype = torch.float32
    ) -> None:
        self.spec, self.ell, self.member, self.dtype = spec, ell, member, dtype
        self.teacher = build_teacher(spec, member.teacher, dtype)
        self.student = build_student(spec, ell, member, self.teacher, dtype)
        learned = [p for p in self.student.parameters() if p.requires_grad]
        self.adam = torch.optim.Adam(learned, lr=spec.lr)
        self.history: list[float] = []

    def advance(self) -> None:
        """One step of Adam."""
        step = len(self.history)
        for group in self.adam.param_groups:
            group["lr"] = self.spec.learning_rate(self.ell, step)
        x = draws.inputs(self.spec, draws.TRAIN, step)[self.member.teacher].to(self.dtype)
        value = loss(self.spec, self.member, self.teacher, self.student, x)
        self.adam.zero_grad()
        value.backward()
        self.adam.step()
        self.history.append(value.item())
