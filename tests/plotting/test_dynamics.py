"""The figures of training show what was followed."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from companion.plotting.probes import dynamics


@pytest.fixture
def followed():
    step, ell = [0, 8, 64], np.array([8, 2])
    centre = 1 / ell[:, None] + np.array(step) / 1000
    bounds = np.stack([centre, centre - 0.01, centre + 0.01], axis=-1)
    theta = np.full((2, 3, 9), np.nan)
    theta[0, :, :8], theta[1, :, :2] = 0.1, 0.2
    return xr.Dataset(
        {
            "rotation": (("model", "step", "bound"), bounds),
            "theta": (("model", "step", "layer"), theta),
            "ell": (("model", "step"), np.repeat(ell[:, None], 3, 1)),
        },
        coords={"model": ["a:deep", "a:flat"], "step": step, "bound": ["estimate", "low", "high"]},
    )


def test_summaries_are_drawn_from_shallow_to_deep_with_step_0(ax, followed):
    dynamics.against_step(followed, "rotation", ax)
    drawn = {line.get_label(): line.get_xydata() for line in ax.lines}
    assert list(drawn) == ["2 blocks", "8 blocks"]
    assert np.allclose(drawn["8 blocks"], [[0, 0.125], [8, 0.133], [64, 0.189]])
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0", "8", "64"]


def test_profiles_end_with_their_model(ax, followed):
    dynamics.profiles(followed, "a:flat", "theta", ax)
    assert [line.get_label() for line in ax.lines] == ["0", "8", "64"]
    assert all(len(line.get_xdata()) == 2 for line in ax.lines)


def test_undetermined_exponents_do_not_stretch_the_axis(ax):
    frame = pd.DataFrame(
        {"estimate": [-0.5, np.nan, -1.0], "low": [-9, np.nan, -np.inf], "high": [2, np.nan, 0.0]},
        index=pd.Index([0, 4, 64], name="step"),
    )
    dynamics.exponents({"live": frame}, (-1.25, -0.75), ax)
    assert ax.get_ylim() == (-2.25, 0.5)


def test_detours_stand_beside_the_alarm(ax):
    rows = [(m, s, 1.2) for m in ("ladder:a", "ladder:b") for s in (0, 8, 64)]
    dynamics.detours(pd.DataFrame(rows, columns=["model", "step", "detour"]), ax)
    assert [line.get_label() for line in ax.lines[:2]] == ["a", "b"]
    assert ax.lines[2].get_ydata()[0] == 2
