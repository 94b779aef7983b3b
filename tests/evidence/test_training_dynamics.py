"""What a followed training says: exponents, the step from which they stay, sentences."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from companion.evidence.probes import training_dynamics
from companion.probing.training import exponents
from companion.probing.training.track import BOUNDS


def test_exponents_and_their_onset():
    ell, step = np.array([2.0, 4, 8, 16]), [0, 8, 64, 512]
    slopes = [-0.5, -0.8, -0.5, -1.0]
    rotation = np.array([[ell**slope for slope in slopes]]).transpose(0, 2, 1)[0]
    bounds = np.repeat(rotation[..., None], 3, axis=-1)
    followed = xr.Dataset(
        {
            "rotation": (("model", "step", "bound"), bounds),
            "ell": (("model", "step"), np.repeat(ell[:, None], 4, 1)),
        },
        coords={"step": step, "bound": list(BOUNDS)},
    )
    frame = exponents.rotation_exponents(followed)
    assert frame["estimate"].tolist() == pytest.approx(slopes)
    assert exponents.steady_from(frame, -1.25, -0.75) == 512
    assert exponents.steady_from(frame, -0.6, 0) is None
    assert exponents.steady_from(frame, -2, 0) == 0


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (
            (-0.7, -1.1, -0.3),
            "outside the range of an inverse law, -1.25 to -0.75, but its interval",
        ),
        (
            (-0.5, -0.6, -0.4),
            "outside the range of an inverse law, -1.25 to -0.75, and so does all",
        ),
        ((-1.0, -1.5, -0.5), "stays between -1.25 and -0.75 from step 64 on"),
    ],
)
def test_the_sentence_tells_estimate_from_interval(last, said):
    frame = pd.DataFrame([(0, 0, 0), last], index=[0, 64], columns=list(BOUNDS), dtype=float)
    assert said in training_dynamics.inverse_law_sentence(frame)


def test_evenness_is_told_of_the_deepest_model():
    bounds = np.zeros((2, 3, 3))
    even, cosine = bounds + 9, bounds + 9
    even[1, :, 0], cosine[1, :, 0] = [1.0, 0.5, 0.75], [0.0, 0.9, 0.25]
    followed = xr.Dataset(
        {
            "participation": (("model", "step", "bound"), even),
            "cosine": (("model", "step", "bound"), cosine),
            "ell": (("model", "step"), [[2] * 3, [16] * 3]),
        },
        coords={"step": [0, 16, 64], "bound": list(BOUNDS)},
    )
    said = training_dynamics.evenness_sentence(followed)
    assert said.startswith(
        "In the model of 16 blocks the participation was 1.00 at the start, lowest"
    )
    assert "(0.50) at step 16 and 0.75 at the last" in said
    assert "highest (0.90) at step 16, and 0.25." in said
