"""The ladder's figures show what is in the table and the logs."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from companion.plotting import ladder, theme


def test_loss_is_drawn_at_the_largest_common_number_of_tokens(ax):
    rows = [(m, ell, D, 5 - m / 100 - ell / 10 - D / 1e7) for m in (32, 64) for ell in (2, 4)
            for D in (1e6, 2e6)]  # fmt: skip
    table = pd.DataFrame(rows, columns=["m", "ell", "D", "loss"]).assign(loss_sem=0.01)
    table = table[(table["m"] == 64) | (table["D"] == 1e6)]
    ladder.against_depth(table, {"unigram": 6.0}, ax)
    drawn = [bars.lines[0].get_ydata() for bars in ax.containers]
    assert np.allclose(drawn, [[4.38, 4.18], [4.06, 3.86]])
    assert theme.names_of(ax) == ["m = 32", "m = 64"]


def test_the_sweep_has_a_panel_for_each_scale_of_the_branches():
    rows = [(ell, rate, ell * rate, scale) for scale in ("one", "inverse-sqrt-depth")
            for ell in (2, 8) for rate in (2.0, 1.0)]  # fmt: skip
    columns = ["ell", "learning_rate", "loss", "branch_scale"]
    scaled, alike = ladder.sweep(pd.DataFrame(rows, columns=columns))
    assert alike.get_title() == "all alike"
    assert [line.get_ydata().tolist() for line in scaled.lines] == [[2, 4], [8, 16]]
    plt.close(scaled.figure)


def test_training_curves_are_running_means(ax):
    curve = pd.DataFrame({"tokens": [1, 2, 3, 4], "loss": [4.0, 2.0, 2.0, 0.0]})
    ladder.training({2: curve, 4: curve}, ax, smooth=2)
    assert np.allclose(ax.lines[0].get_ydata(), [4, 3, 2, 1])
    assert len(ax.lines) == 2
