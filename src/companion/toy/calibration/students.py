"""A trained student in the form in which language models are read and disturbed.

A "token" is one held-out sample, by its number: the embedding is the table of the samples, the
blocks are the student's, and the readout is its final normalisation. A "document" is a row of
samples. So `probing` and `interventions` run on a student as they are; only the loss is its own,
the squared distance to what its teacher answers to the same sample.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from companion.errors import InputError
from companion.models import Model
from companion.models.sources.load import import_tqdm
from companion.runtime import Runtime
from companion.toy.calibration.design import Task
from companion.toy.calibration.training import CalibrationEngine, scale_teachers
from companion.toy.networks import draws
from companion.toy.networks.blocks import Weights, mlp, rmsnorm
from companion.toy.networks.students import members
from companion.toy.networks.teachers import Teachers
from companion.toy.specification import specification

import_tqdm()

ROWS, LENGTH = 32, 17
"""Rows of held-out samples, and samples in each; the loss of the last of a row is not read."""

READ = 1_000_000
"""Number of the test batch that readings use: none that a loss was tested on."""


@dataclass(frozen=True)
class Student:
    """One network of known regime, and the samples on which it is read.

    Parameters
    ----------
    regime : str
        What it was trained in; "untrained" if it was not.
    teacher : int
        Number of its teacher among those of its regime and width.
    gain, rho : float
        Of its teacher, see `Task`.
    model : companion.models.Model
        Its blocks, with the samples as embedding.
    target : Tensor, shape (sample, m)
        What its teacher answers to each sample.
    """

    regime: str
    teacher: int
    gain: float
    rho: float
    model: Model
    target: Tensor

    @property
    def name(self) -> str:
        """What tells it from every other student."""
        return f"{self.regime}-m{self.model.m}-ell{self.model.ell}-teacher{self.teacher}"

    @property
    def tokens(self) -> Tensor:
        """All samples in rows, (`ROWS`, `LENGTH`)."""
        return torch.arange(ROWS * LENGTH).reshape(ROWS, LENGTH)

    def loss(self, model: Model, z: Tensor, ids: Tensor, chosen: Tensor) -> Tensor:
        """Squared error per channel (n,) of states behind the last block; see `ablate`."""
        target = self.target[ids.flatten()[chosen]]
        return (model.readout(z) - target).square().mean(-1)

    def explained(self) -> float:
        """Share of the target explained, by the better of two guesses that know nothing.

        The guesses are the network without its blocks, and zero.
        """
        with torch.inference_mode():
            h = self.model.net.embedding.weight
            empty = (self.model.readout(h) - self.target).square().mean()
            for block in self.model.blocks:
                h = block(h)
            loss = (self.model.readout(h) - self.target).square().mean()
        return float(1 - loss / torch.minimum(empty, self.target.square().mean()))


class ToyBlock(nn.Module):
    """The plain residual block of one student, states (..., m)."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        names = {name: nn.Parameter(w, requires_grad=False) for name, w in weights.items()}
        self.weights = nn.ParameterDict(names)

    def forward(self, hidden_states: Tensor) -> Tensor:
        weights = {name: weight.unsqueeze(0) for name, weight in self.weights.items()}
        flat = hidden_states.reshape(1, -1, hidden_states.shape[-1])
        return hidden_states + mlp(flat, weights).reshape(hidden_states.shape)


class FinalNorm(nn.Module):
    """The student's last step, h / rms(h)."""

    def forward(self, h: Tensor) -> Tensor:
        return rmsnorm(h)


class Stack(nn.Module):
    """Samples by number, blocks, final normalisation."""

    def __init__(self, embedding: nn.Embedding, blocks: nn.ModuleList) -> None:
        super().__init__()
        self.embedding, self.blocks, self.norm = embedding, blocks, FinalNorm()

    def forward(self, input_ids: Tensor, use_cache: bool = False) -> Any:
        from transformers.modeling_outputs import BaseModelOutput

        h = self.embedding(input_ids)
        for block in self.blocks:
            h = block(h)
        return BaseModelOutput(last_hidden_state=self.norm(h))


class ToyNet(nn.Module):
    """What `companion.models.Model` asks of a transformers network."""

    def __init__(self, stack: Stack) -> None:
        from transformers import PretrainedConfig

        super().__init__()
        self.base_model = stack
        self.embedding = stack.embedding
        m, ell = stack.embedding.weight.shape[1], len(stack.blocks)
        self.config = PretrainedConfig.from_dict(
            {"hidden_size": m, "num_hidden_layers": ell, "num_attention_heads": 1}
        )
        vars(self.config)["model_type"] = "toy"

    def get_input_embeddings(self) -> nn.Embedding:
        """The table of samples."""
        return self.embedding

    def forward(self, input_ids: Tensor, use_cache: bool = False) -> Any:
        from transformers.modeling_outputs import CausalLMOutput

        return CausalLMOutput(logits=self.base_model(input_ids=input_ids).last_hidden_state)


def as_model(name: str, blocks: list[Weights], x: Tensor, runtime: Runtime) -> Model:
    """Blocks of one student as a `Model` whose tokens are the samples x (sample, m)."""
    from transformers.modeling_outputs import BaseModelOutput

    embedding = nn.Embedding.from_pretrained(rmsnorm(x))
    stack = Stack(embedding, nn.ModuleList(ToyBlock(weights) for weights in blocks))
    net = ToyNet(stack).eval()
    tail = (stack.norm,)
    return Model(name, net, None, runtime, stack.blocks, stack, tail, BaseModelOutput, x.device)


def students(path: Path, runtime: Runtime) -> Iterator[Student]:
    """The trained students of one file of `training.train`.

    Raises
    ------
    InputError
        If the file is no such file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt", device=runtime.device) as file:
            facts = json.loads((file.metadata() or {})["companion"])
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise InputError(f"{str(path)!r} holds no students: train them again") from error
    task = Task(facts["regime"], specification(facts["specification"]), tuple(facts["gains"]))
    yield from of_weights(task, tensors, runtime)


def of_engine(engine: CalibrationEngine, task: Task, runtime: Runtime) -> Iterator[Student]:
    """The students of an engine, trained or not."""
    tensors = {
        f"{stack.ell}.{name}": weight.detach()
        for stack in engine.stacks
        for name, weight in stack.parameters().items()
    }
    yield from of_weights(task, tensors, runtime)


def of_weights(task: Task, tensors: Mapping[str, Tensor], runtime: Runtime) -> Iterator[Student]:
    """Students of weights by name "ell.block.matrix", each with a leading axis of members."""
    x, target = held_out(task, runtime)
    for ell in task.spec.depths:
        for place, member in enumerate(members(task.spec)):
            blocks = [
                {key: tensors[f"{ell}.{layer}.{key}"][place] for key in ("W1", "b1", "W2")}
                for layer in range(ell)
            ]
            yield _student(task, task.regime, member.teacher, blocks, x, target, runtime)


def untrained(task: Task, runtime: Runtime) -> Iterator[Student]:
    r"""Networks as they are drawn: default weights, :math:`W_2 / \sqrt{\ell}` as in teachers.

    (Students start with W_2 = 0, where nothing moves and nothing can be read.)
    """
    x, target = held_out(task, runtime)
    for ell in task.spec.depths:
        for member in members(task.spec):
            source = draws.student_source(task.spec, member.teacher, member.seed, ell)
            scale = task.gain(member.teacher) / ell**0.5
            drawn = (draws.mlp_weights(task.spec, source) for _ in range(ell))
            blocks = [{k: w.to(x) for k, w in (b | {"W2": scale * b["W2"]}).items()} for b in drawn]
            yield _student(task, "untrained", member.teacher, blocks, x, target, runtime)


def held_out(task: Task, runtime: Runtime) -> tuple[Tensor, Tensor]:
    """Samples and targets (teacher, sample, m) that no student has been trained or tested on."""
    teachers = Teachers(task.spec, runtime.device, runtime.torch_dtype)
    scale_teachers(teachers, task)
    needed, parts = ROWS * LENGTH, []
    for batch in range(-(-needed // task.spec.batch)):
        parts.append(teachers.respond(draws.TEST, READ + batch))
    x = torch.cat([part.x for part in parts], 1)[:, :needed]
    return x, torch.cat([part.state for part in parts], 1)[:, :needed]


def _student(
    task: Task, regime: str, teacher: int, blocks: list[Weights], x, target, runtime: Runtime
) -> Student:
    model = as_model(f"{regime}-ell{len(blocks)}", blocks, x[teacher], runtime)
    rho = task.spec.rho[teacher // task.spec.teachers]
    return Student(regime, teacher, task.gain(teacher), rho, model, target[teacher])
