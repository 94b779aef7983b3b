"""Blocks, teachers and students: gradients, limits, known truths."""

import dataclasses

import numpy as np
import pytest
import torch

from companion.toy import Specification
from companion.toy.networks import draws
from companion.toy.networks.blocks import BLOCKS, mlp, rmsnorm
from companion.toy.networks.students import Stack, members
from companion.toy.networks.teachers import Teachers, chains, losses

K, B, m, hidden = 2, 3, 4, 5


def weights(seed=0):
    g = torch.Generator().manual_seed(seed)
    shapes = {"W1": (K, m, hidden), "b1": (K, hidden), "W2": (K, hidden, m)}
    return {
        k: torch.randn(s, generator=g, dtype=torch.float64).requires_grad_()
        for k, s in shapes.items()
    }


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_hand_written_gradient(scale):
    p = weights()
    h = torch.randn(K, B, m, dtype=torch.float64, requires_grad=True)

    def update(h, W1, b1, W2):
        return mlp(h, {"W1": W1, "b1": b1, "W2": W2}, scale)

    assert torch.autograd.gradcheck(update, (h, p["W1"], p["b1"], p["W2"]))


def test_update_equals_recorded_formula():
    p, h = weights(1), torch.randn(K, B, m, dtype=torch.float64)
    plain = torch.relu(rmsnorm(h) @ p["W1"] + p["b1"][:, None]) ** 2 @ p["W2"]
    torch.testing.assert_close(mlp(h, p), plain)
    torch.testing.assert_close(mlp(7 * h, p), plain, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("block", BLOCKS)
def test_untrained_students_are_the_identity(small, block):
    spec = Specification(**small | {"block": block})
    stack = Stack(spec, 4, members(spec), "cpu", torch.float64)
    x = torch.randn(spec.members, B, spec.width, dtype=torch.float64)
    for h in stack.states(x):
        torch.testing.assert_close(h, rmsnorm(x), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("block", BLOCKS)
def test_every_weight_of_every_variant_learns(small, block):
    spec = Specification(**small | {"block": block})
    stack = Stack(spec, 4, members(spec), "cpu", torch.float64)
    with torch.no_grad():
        for name, weight in stack.parameters().items():
            if "W2" in name or "head" in name:
                weight.normal_(std=0.3)
    teachers = Teachers(spec, "cpu", torch.float64)
    targets = teachers.answer(draws.inputs(spec, draws.TRAIN, 0).double())
    losses(stack, targets).mean(1).sum().backward()
    assert all(w.grad is not None and w.grad.abs().sum() > 0 for w in stack.parameters().values())


def test_variants_add_at_most_a_few_parameters(small):
    count = {}
    for block in set(BLOCKS) - {"midpoint"}:
        spec = Specification(**small | {"block": block, "width": 32, "depths": [48]})
        stack = Stack(spec, 48, members(spec)[:1], "cpu", torch.float32)
        count[block] = sum(w.numel() for w in stack.parameters().values())
    assert max(count.values()) < 1.01 * count["euler"]


@pytest.mark.parametrize("rho", [0.0, 0.5, 1.0])
def test_rho_is_the_correlation_of_the_teacher_blocks(rho):
    spec = Specification("t", rho=(rho,), teacher_depth=6)
    blocks, _ = draws.teacher_weights(spec, 0)
    flat = np.array([b["W1"].ravel().numpy() for b in blocks])
    off = np.corrcoef(flat)[np.triu_indices(6, 1)]
    np.testing.assert_allclose(off, rho, atol=0.08)
    assert flat.var() == pytest.approx(1 / (3 * spec.width), rel=0.1)


def test_teachers_share_draws_across_rho():
    spec = Specification("t", rho=(0.0, 1.0), teachers=2, teacher_depth=2)
    (_, head), (_, tied_head) = draws.teacher_weights(spec, 1), draws.teacher_weights(spec, 3)
    assert torch.equal(head, tied_head)
    assert not torch.equal(head, draws.teacher_weights(spec, 0)[1])


def test_entropy_grows_with_temperature_to_the_uniform_limit(spec):
    spec = dataclasses.replace(spec, temperatures=(0.01, 0.1, 1.0, 1000.0))
    targets = Teachers(spec, "cpu", torch.float64).answer(
        draws.inputs(spec, draws.TEST, 0).double()
    )
    entropy = targets.entropy().mean((0, 2)).numpy()
    assert np.all(np.diff(entropy) > 0)
    assert entropy[-1] == pytest.approx(np.log(spec.vocabulary), abs=1e-4)


def test_loss_at_the_start_is_divergence_from_uniform(spec):
    stack = Stack(spec, 2, members(spec), "cpu", torch.float64)
    targets = Teachers(spec, "cpu", torch.float64).answer(
        draws.inputs(spec, draws.TEST, 0).double()
    )
    expected = (np.log(spec.vocabulary) - targets.entropy()).reshape(spec.members, -1)
    torch.testing.assert_close(losses(stack, targets), expected)


def test_chains_are_running_parities():
    x = torch.tensor([[1.0, -1, -1, 1, -1, 1, 1, -1]])
    assert chains(x, 4).tolist() == [[1, -1, 1, 1, -1, -1, -1, 1]]
    assert chains(x, 1).equal(x)


def test_parity_inputs_are_signs():
    spec = Specification("p", teacher="parity", teacher_depth=4, loss="mse", head="none")
    x = draws.inputs(spec, draws.TRAIN, 3)
    assert set(x.unique().tolist()) == {-1.0, 1.0}
    assert x.equal(draws.inputs(spec, draws.TRAIN, 3))
    assert not x.equal(draws.inputs(spec, draws.TRAIN, 4))
