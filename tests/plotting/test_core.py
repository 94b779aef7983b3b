"""The figures of the theory's core show what was measured."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from companion.plotting.toys import core

from ..evidence.calibration.test_claims import language, rows, students, traded
from ..ladder.test_averaging import planted


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def drawn(ax, name):
    """The points of the line or of the bars of that name."""
    bars = {one.get_label(): one.lines[0].get_xydata() for one in ax.containers}
    return {**{line.get_label(): line.get_xydata() for line in ax.lines}, **bars}[name]


def test_what_differs_is_drawn_over_its_first_value_beside_one_over_ell():
    ax = core.varying_parts(students(0.3, 1.0), planted(0.5))
    np.testing.assert_allclose(drawn(ax, "language models")[:, 1], [1, 0.5**0.5, 0.5, 0.5**1.5])
    np.testing.assert_allclose(drawn(ax, r"$1/\ell$")[:, 1], [1, 1 / 2, 1 / 4, 1 / 8])
    toys = drawn(ax, "toys, averaging")[:, 1]
    np.testing.assert_allclose(toys, [1, 1 / 2, 1 / 4, 1 / 8], rtol=0.1)


def test_averages_start_on_the_line_of_one_model_and_end_at_all_seeds():
    loss = language(1.0, 0.5)["loss"].isel(D=0)
    ax = core.in_all(loss, rows(0.3))
    one, averages = drawn(ax, "one model"), drawn(ax, "averages of models of 4")
    np.testing.assert_allclose(averages[0], one[1])
    assert averages[-1, 0] == 16
    assert averages[-1, 1] < averages[0, 1]
    assert drawn(ax, "rows of 4")[0, 0] == 16


def test_correlations_and_gains_are_those_of_the_students():
    found = students(0.3, 1.0)
    left, right = core.shared_errors(found).axes
    np.testing.assert_allclose(drawn(left, "averaging")[:, 1], 0.3, atol=0.05)
    assert len(right.lines) == 6
    plt.figure()
    np.testing.assert_allclose(
        drawn(core.gains(found, 16), "averaging")[:, 1],
        [0.3 + 0.7 / M for M in (1, 2, 4, 8, 16)],
        atol=0.05,
    )


def test_shapes_are_drawn_over_the_shallowest():
    _, ax = plt.subplots()
    middle = drawn(core.traded(traded(1.0, 0.0), ax=ax), "averaging")[:, 1]
    np.testing.assert_allclose(middle, [1, 1 / 2, 1 / 4, 1 / 8], rtol=0.1)
