"""Geometry against exact angles, invariances and float64."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from companion import geometry

EXACT = [0.0, 1e-7, 1e-6, 1e-4, 0.1, 1.0, math.pi / 2, 3.0, math.pi - 1e-4, math.pi - 1e-6, math.pi]


def walk(ell=6, tokens=5, m=16, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(ell + 1, tokens, m, generator=generator, dtype=dtype).cumsum(0)


@pytest.mark.parametrize("theta", EXACT)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_float32_angles_are_accurate_to_a_millionth_near_0_and_pi(theta, scale):
    basis, _ = torch.linalg.qr(
        torch.randn(64, 2, generator=torch.Generator().manual_seed(1)).double()
    )
    a, b = basis[:, 0], math.cos(theta) * basis[:, 0] + math.sin(theta) * basis[:, 1]
    measured = geometry.angle(a.float() * scale, b.float())
    assert abs(float(measured) - theta) < 1e-6


def test_the_arc_cosine_of_bfloat16_cannot_see_small_angles():
    a, b = torch.tensor([1.0, 0.0]), torch.tensor([1.0, 0.03])
    assert geometry.angle_by_cosine(a.bfloat16(), b.bfloat16()) == 0
    assert geometry.angle(a, b) == pytest.approx(0.03, rel=1e-3)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(0.01, 100), st.floats(0.01, 100))
def test_angle_is_symmetric_scale_free_and_obeys_the_triangle_inequality(seed, s, t):
    a, b, c = torch.randn(3, 8, generator=torch.Generator().manual_seed(seed)).double()
    ab = geometry.angle(a, b)
    assert geometry.angle(b, a) == ab
    assert geometry.angle(s * a, t * b) == pytest.approx(float(ab), abs=1e-12)
    assert geometry.angle(a, c) <= ab + geometry.angle(b, c) + 1e-12


def test_trajectory_agrees_with_a_loop_over_tokens():
    h = walk()
    values = geometry.trajectory(h)
    for token in range(h.shape[1]):
        path = h[:, token]
        dh = path[1:] - path[:-1]
        for layer in range(6):
            cosine = path[layer] @ path[layer + 1] / path[layer].norm() / path[layer + 1].norm()
            assert values["theta"][layer, token] == pytest.approx(math.acos(cosine), abs=1e-9)
            assert values["update_norm"][layer, token] == pytest.approx(float(dh[layer].norm()))
        way = path[-1] - path[0]
        share = [float((p - path[0]) @ way / (way @ way)) for p in path]
        assert values["projection"][:, token].tolist() == pytest.approx(share)
        turn = math.acos(dh[0] @ dh[1] / dh[0].norm() / dh[1].norm())
        mean_step = float(dh[0].norm() + dh[1].norm()) / 2
        assert values["theta_dh"][0, token] == pytest.approx(turn, abs=1e-9)
        assert values["curvature"][0, token] == pytest.approx(turn / mean_step, abs=1e-9)


def test_a_straight_path_is_straight_and_a_circle_has_its_curvature():
    start, step = torch.ones(8).double(), torch.linspace(0, 1, 8).double()
    line = torch.stack([start + k * step for k in range(5)])[:, None]
    values = geometry.trajectory(line)
    assert values["straightness"].item() == pytest.approx(1)
    assert values["theta_dh"].abs().max() < 1e-7
    turns = torch.arange(201).double() * 0.01
    circle = 3 * torch.stack([turns.cos(), turns.sin()], -1)[:, None]
    assert geometry.trajectory(circle)["curvature"].mean() == pytest.approx(1 / 3, rel=1e-4)


def test_rotating_the_space_changes_no_angle():
    h = walk()
    q, _ = torch.linalg.qr(walk(15, 1, 16)[:, 0])
    for name, values in geometry.trajectory(h).items():
        torch.testing.assert_close(geometry.trajectory(h @ q)[name], values, atol=1e-7, rtol=1e-7)


def test_update_cosines_are_symmetric_with_unit_diagonal():
    cosines = geometry.update_cosines(walk())
    torch.testing.assert_close(cosines, cosines.transpose(1, 2))
    torch.testing.assert_close(cosines.diagonal(dim1=1, dim2=2), torch.ones(5, 6).double())


def test_separate_functions_agree_with_the_one_pass():
    h = walk()
    values = geometry.trajectory(h)
    torch.testing.assert_close(geometry.angle(h[:-1], h[1:]), values["theta"])
    torch.testing.assert_close(geometry.straightness(h), values["straightness"])


def test_the_zero_vector_has_no_angle():
    assert geometry.angle(torch.zeros(3), torch.ones(3)).isnan()
