"""A student in the form of a language model computes what the toy engine computes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from companion.errors import InputError
from companion.interventions import ablate
from companion.models import capture
from companion.toy.calibration import training
from companion.toy.calibration.design import tasks
from companion.toy.calibration.students import (
    LENGTH,
    ROWS,
    held_out,
    of_engine,
    students,
    untrained,
)
from companion.toy.networks.teachers import Targets, losses

REGIMES = ("ensemble", "procedural", "compositional")


def _final(blocks, h):
    """A hand-made forward pass: the blocks one after another."""
    for block in blocks:
        h = block(h)
    return h


def _loss(student, h):
    z = h / (h.square().mean(-1, keepdim=True) + torch.finfo(h.dtype).eps).sqrt()
    return (z - student.target).square().mean(-1)


@pytest.mark.parametrize("regime", REGIMES)
def test_states_are_those_of_the_toy_engine(engines, runtime, regime):
    task, engine = engines[regime]
    x, _ = held_out(task, runtime)
    wrapped = {(s.model.ell, s.teacher): s for s in of_engine(engine, task, runtime)}
    for stack in engine.stacks:
        states = torch.stack(stack.states(x[stack.teacher]))
        for place, member in enumerate(stack.members):
            student = wrapped[stack.ell, member.teacher]
            h = capture(student.model, student.tokens).h.flatten(1, 2)
            torch.testing.assert_close(h, states[:, place].detach(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("regime", REGIMES)
def test_the_loss_is_the_toy_engines(engines, runtime, regime):
    task, engine = engines[regime]
    x, target = held_out(task, runtime)
    wrapped = {(s.model.ell, s.teacher): s for s in of_engine(engine, task, runtime)}
    for stack in engine.stacks:
        each = losses(stack, Targets(x, target)).detach()
        for place, member in enumerate(stack.members):
            student = wrapped[stack.ell, member.teacher]
            found = ablate(student.model, student.tokens, "skip", loss=student.loss)
            expected = each[place].reshape(ROWS, LENGTH)[:, :-1].mean(1)
            np.testing.assert_allclose(found["loss_clean"], expected, rtol=1e-4)


def test_disturbances_are_those_of_a_hand_made_loop(engines, runtime):
    task, engine = engines["ensemble"]
    student = next(s for s in of_engine(engine, task, runtime) if s.model.ell == 8)
    f, h = list(student.model.blocks), student.model.net.embedding.weight
    found = ablate(
        student.model,
        student.tokens,
        ("skip", "swap", "repeat", "parallel", "reverse-4", "double-4"),
        loss=student.loss,
    )
    with torch.no_grad():
        at = _final(f[:2], h)
        side = f[2](at) + f[3](at) - at
        ends = {
            "skip": _final(f[3:], at),
            "swap": _final([f[3], f[2], *f[4:]], at),
            "repeat": _final([f[2], f[2], *f[3:]], at),
            "parallel": _final(f[4:], side),
            "reverse-4": _final([f[5], f[4], f[3], f[2], *f[6:]], at),
            "double-4": _final([f[2], f[2], f[3], f[4], f[4], *f[5:]], at),
        }
    for kind, end in ends.items():
        expected = _loss(student, end).reshape(ROWS, LENGTH)[:, :-1].mean(1)
        np.testing.assert_allclose(
            found["loss"].sel(kind=kind, layer=2), expected, rtol=1e-4, err_msg=kind
        )


def test_explained_is_one_of_a_perfect_student_and_none_of_an_empty_one(engines, runtime):
    task, engine = engines["procedural"]
    student = next(of_engine(engine, task, runtime))
    assert 0 < student.explained() < 1
    h = student.model.net.embedding.weight
    with torch.no_grad():
        final = student.model.readout(_final(student.model.blocks, h))
    perfect = type(student)("procedural", 0, 1.0, 1.0, student.model, final)
    assert perfect.explained() == pytest.approx(1, abs=1e-6)


def test_untrained_networks_differ_by_teacher_and_move_the_state(tiny, runtime):
    networks = list(untrained(tasks(tiny)[0], runtime))
    assert {s.regime for s in networks} == {"untrained"}
    first, second = networks[0], networks[1]
    assert not torch.equal(
        first.model.blocks[0].weights["W1"], second.model.blocks[0].weights["W1"]
    )
    stream = capture(first.model, first.tokens).h
    assert float((stream[-1] - stream[0]).norm()) > 0.1


def test_training_writes_files_that_give_the_same_students(tiny, runtime, tmp_path, engines):
    paths = training.train(tiny, tmp_path / "set", runtime)
    assert [path.stem for path in paths] == [task.name for task in tasks(tiny)]
    for path, task in zip(paths, tasks(tiny), strict=True):
        kept = list(students(path, runtime))
        made = list(of_engine(engines[task.regime][1], task, runtime))
        assert [s.name for s in kept] == [s.name for s in made]
        for one, other in zip(kept, made, strict=True):
            for a, b in zip(one.model.blocks, other.model.blocks, strict=True):
                assert torch.equal(a.weights["W2"], b.weights["W2"])
            assert torch.equal(one.target, other.target)


def test_training_goes_on_where_it_stopped(tiny, runtime, tmp_path):
    paths = training.train(tiny, tmp_path / "set", runtime)
    before = [path.stat().st_mtime_ns for path in paths]
    paths[1].unlink()
    training.train(tiny, tmp_path / "set", runtime, resume=True)
    after = [path.stat().st_mtime_ns for path in paths]
    assert after[1] > before[1]
    assert after[0] == before[0]
    with pytest.raises(InputError, match="--resume"):
        training.train(tiny, tmp_path / "set", runtime)


def test_a_file_that_holds_no_students_is_refused(runtime, tmp_path):
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match="no students"):
        next(students(tmp_path / "bad.safetensors", runtime))
