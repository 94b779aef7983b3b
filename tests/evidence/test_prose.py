"""Prose follows data: under opposite data no sentence says the same finding, nor the wrong one.

Each case makes the sentences of a chapter from two planted worlds. What the one must say the other
must not; and what only data can say must not stand typed in a chapter.
"""

import re
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from companion import scaling
from companion.evidence import scaling as fits
from companion.evidence import worded
from companion.evidence.probes import answers, captions, depth_report
from companion.evidence.probes import geometry as turns
from companion.evidence.probes import probing as losses
from companion.evidence.probes import training_dynamics as training
from companion.evidence.scaling import answers as fit_answers
from companion.evidence.scaling import captions as fit_captions
from companion.probing.training.track import BOUNDS
from companion.scaling.uncertainty.profile import LikelihoodProfile
from companion.statistics.intervals import Interval

from ..conftest import TRUTH
from .test_depth_report import generator, planted

WRITTEN = ("probing", "geometry", "training_dynamics")
WRITTEN += ("scaling_fit", "scaling_identifiability", "scaling_second_table", "ladder_scaling")
WRITTEN += ("toy_entropy", "toy_regimes", "toy_composition", "scaling_planner", "depth_report")
WRITTEN += ("across_models", "calibration", "interventions")
BOOK = Path(__file__).parents[2] / "book"
FOUND = (
    *(
        "nearly every layer",
        "in few steps",
        "falls along one curve",
        "worse than a uniform guess (dotted)",
    ),
    *("Deeper models turn", "turns the state evenly", "Training makes", "stay even through"),
    *("Wide models are", "is certified:", "only loosely", "hardly known"),
    *("No law wins", "trades against", "Deep models learn faster", "about 1 as claimed"),
    *("follows the predicted slopes", "exponents fall all along", "loss plunges where"),
    *("Depth that is free", "All tokens are turned alike", "are alike, deeper"),
    *("lies far beneath", "No checkpoint lies", "was still moving", "each follow a power"),
)
"""What only data can say."""


def probe(ell=8, even=True, falls=True, cosine=0.1, guess=2.0):
    """A probe whose middle layers share rotation and fall of the loss, or in which one has all."""
    theta = np.full(ell, 1.0 / ell) if even else np.full(ell, 0.01)
    theta[ell // 2] *= 1 if even else 100
    removed = np.full(ell - 1, 0.2) if falls else np.full(ell - 1, -0.01)
    removed[ell // 2] = 0.2 if falls else 2.0
    data = planted(theta, cosine, removed, model=f"ell{ell}")
    return data.assign_attrs(V=round(float(np.exp(guess)), 3))


def worlds_of_probing():
    for dataset in (probe(guess=6.0), probe(falls=False, guess=1.0)):
        own = depth_report.read(dataset, generator())
        numbers = losses.LossNumbers(5.0, 5.0, 3.0, 6.0)
        claim = losses.loss_falls_gradually({"ell8": dataset}, generator())
        yield (
            claim.verdict,
            answers.of_loss(own, numbers, [dataset]),
            captions.of_loss(dataset),
            captions.of_guess({"a": dataset}),
        )


def ladder(power, even=True, cosine=0.1):
    def one(ell):
        theta = np.full(ell, float(ell) ** power)
        theta[ell // 2] *= 1 if even else 50
        return planted(theta, cosine, model=f"ell{ell}")

    return {f"ell{ell}": one(ell) for ell in (4, 8, 16, 32)}


def worlds_of_geometry():
    for power, even, cosine in ((-1.0, True, 0.05), (2.0, False, 0.9)):
        models = ladder(power, even, cosine)
        own = depth_report.read(models["ell16"], generator())
        yield (
            turns.exponent_sentence(models),
            captions.of_slope(models),
            captions.of_evenness(own),
            answers.of_readings([own]),
            captions.of_controls({"a": models, "b": ladder(power if even else power - 2)}),
        )


def followed(exponents, even, losses_by_layer):
    ell, step = np.array([2.0, 4, 8, 16]), [0, 64]
    rotation = np.array([[n**b for b in exponents] for n in ell])
    bounds = {"bound": list(BOUNDS), "step": step, "layer": range(17)}
    spread = np.repeat(rotation[..., None], 3, -1)
    share = np.repeat(np.tile(even, (4, 1))[..., None], 3, -1)
    return xr.Dataset(
        {
            "rotation": (("model", "step", "bound"), spread),
            "participation": (("model", "step", "bound"), share),
            "cosine": (("model", "step", "bound"), 1 - share),
            "cross_entropy": (("model", "step", "layer"), np.tile(losses_by_layer, (4, 1, 1))),
            "ell": (("model", "step"), np.repeat(ell[:, None], 2, 1)),
        },
        coords=bounds,
    )


def worlds_of_training():
    from companion.probing.training.exponents import rotation_exponents

    down, up = np.linspace(5, 3, 17), np.linspace(3, 5, 17)
    for exponents, even, layers in (
        ((-0.5, -1.0), [0.5, 1.0], [up, down]),
        ((-1.0, -0.2), [1.0, 0.5], [down, up]),
    ):
        tracked = followed(exponents, even, layers)
        frame = rotation_exponents(tracked)
        told = captions.of_followed(tracked)
        yield (
            answers.of_training(frame),
            captions.of_training(frame),
            training.inverse_law_sentence(frame),
            training.evenness_sentence(tracked),
            *told.values(),
        )


def fit_of(table, alpha):
    """A certified fit of the planted law with this depth exponent, with intervals by bootstrap."""
    noise = 0.003 * np.random.default_rng(0).standard_normal(len(table))
    truth = TRUTH | {"alpha_ell": alpha, "c_ell": 3.0 * 8 ** (alpha - 1)}
    loss = scaling.LAWS["additive"].predict(truth, table) * np.exp(noise)
    rows = table.assign(loss=loss)
    rows.attrs["name"] = "chinchilla"
    methods = {"methods": ["bootstrap_shape"], "draws": 60}
    return scaling.quantify(scaling.fit(rows), np.random.default_rng(0), **methods)


@pytest.fixture(scope="module")
def worlds_of_fits(grid):
    steep, flat = fit_of(grid, 1.0), fit_of(grid, 2.5)
    return [
        (
            fits.inverse_depth(fit).verdict,
            fit_answers.of_fit(fit),
            fits.intervals_sentence(fit),
            fit_captions.of_methods(fit),
            fits.design_sentence(r),
            fit_captions.of_shapes(r),
            fit_captions.of_terms(fit),
            fits.convergence_sentence(certified),
        )
        for fit, r, certified in (
            (steep, 0.9, steep),
            (flat, 0.0, replace(flat, certificate=replace(flat.certificate, curvature=-1.0))),
        )
    ]


def swept(lows, highs, shapes=(4, 20)):
    middle = (np.array(lows) + highs) / 2
    frame = {"dropped": [0, 40], "estimate": middle, "low": lows, "high": highs}
    return pd.DataFrame(frame | {"shapes": shapes, "rows": ["a", "b"], "refused": ["", ""]})


def region(sign):
    x = np.linspace(-1, 1, 9)
    deviance = (x[:, None] - sign * x[None]) ** 2
    return LikelihoodProfile(("a", "b"), (x, x), deviance, {}, np.ones((9, 9), bool), 0.1)


def worlds_of_identifiability():
    scores = {"aic": [0.0, 1.0], "bic": [0.0, 1.0], "cv_shape": [0.0, 1.0]}
    scores |= {"cv_largest": [1.0, 2.0], "failed": [0, 0], "converged": [True, True]}
    for frame, span, inflation, sign, last in (
        (swept([0.9, 0.9], [1.1, 1.1]), Interval(1.0, 0.9, 1.1), 1.0, 1, [1.0, 2.0]),
        (swept([1.9, 0.1], [2.1, 0.3]), Interval(1.0, 0.0, 3.0), 8.0, -1, [2.0, 1.0]),
    ):
        laws = pd.DataFrame(scores | {"cv_largest": last}, index=["additive", "chinchilla"])
        yield (
            fits.robust_depth(frame, "chinchilla").verdict,
            fit_answers.of_profile(span, inflation, frame),
            fits.cuts_sentence(frame),
            fit_captions.of_trades(region(sign), region(-sign)),
            fit_captions.of_ranking(laws),
            fits.subsets_sentence(frame),
            fit_captions.of_widths(frame),
        )


def worlds_of_ladder():
    for sign, ends, best in ((-1, (3.0, 2.0), (0.1, 0.1)), (1, (2.0, 3.0), (0.1, 0.2))):
        ell = np.array([2, 4, 8])
        table = pd.DataFrame({"m": 32, "ell": ell, "D": 9, "seed": 0, "loss": 5 + sign * ell / 9})
        shallow = pd.DataFrame({"loss": np.linspace(4, ends[0], 100)})
        deep = pd.DataFrame({"loss": np.linspace(4, ends[1], 100)})
        rows = [
            {"ell": n, "learning_rate": rate, "loss": 3 + abs(rate - at), "branch_scale": "one"}
            for n, at in zip((2, 16), best, strict=True)
            for rate in (0.1, 0.2)
        ]
        yield (
            fit_captions.of_depths(table),
            fit_captions.of_speed({2: shallow, 16: deep}),
            fit_captions.of_rates(pd.DataFrame(rows)),
        )


def between(worlds, says):
    """Each pair of phrases: the first in one world only, the second in the other only."""
    first, second = (" ".join(world) for world in worlds)
    for here, there in says:
        assert here in first, (here, first)
        assert there in second, (there, second)
        assert here not in second, (here, second)
        assert there not in first, (there, first)


def test_probing():
    says = [
        ("reproduced", "not reproduced"),
        (", evenly over the middle", ", in few steps over the middle"),
        ("7 of 7 layers lower", "1 of 7 layers lower"),
        ("nats better than a guess", "nats worse than a uniform guess"),
        ("this is better than a uniform guess", "this is worse than a uniform guess"),
    ]
    first, second = worlds_of_probing()
    assert first[0] == "reproduced"
    assert second[0] == "not reproduced"
    between((first[1:], second[1:]), says[1:])


def test_geometry():
    says = [
        ("(-1) is inside", "(-1) is outside"),
        ("Deeper models turn the state less", "Deeper models turn the state more"),
        ("turns the state evenly", "turns the state in few steps"),
        ("weakly correlated", "strongly correlated"),
        ("rotation does not tell the controls apart", "rotation tells the controls apart"),
    ]
    between(list(worlds_of_geometry()), says)


def test_training_dynamics():
    says = [
        ("it reaches an inverse law", "it does not reach an inverse law"),
        ("makes deep models turn the state less", "brings the rotations of deep and shallow"),
        ("stays between", "lies outside the range"),
        ("participation goes from 0.50 to 1.00", "participation goes from 1.00 to 0.50"),
        ("At the first checkpoint the loss does not fall", "at the last the loss does not fall"),
    ]
    between(list(worlds_of_training()), says)


def test_scaling_fit(worlds_of_fits):
    first, second = worlds_of_fits
    assert (first[0], second[0]) == ("reproduced", "not reproduced")
    says = [
        ("about 1 as claimed", ", not about 1"),
        ("lie in about 1 and 0 outside", "0 lie in about 1 and"),
        ("wide models are deep", "vary nearly independently"),
        ("Wide models are deep", "Width and depth vary apart"),
        ("is certified", "did not converge"),
    ]
    between((first[1:], second[1:]), says)


def test_scaling_identifiability_and_second_table():
    first, second = worlds_of_identifiability()
    assert (first[0], second[0]) == ("reproduced", "not reproduced")
    says = [
        ("vary apart in these rows", "Only loosely"),
        ("at 0 of 2 cuts", "at 2 of 2 cuts"),
        (
            "a larger width exponent and a smaller floor",
            "a smaller width exponent and a larger floor",
        ),
        ("One law is best by every measure: additive", "No law is best by every measure"),
        ("supported with a, b", "contradicted with a, b"),
        ("2 lie in about 1 and 0 outside", "0 lie in about 1 and 2 outside"),
    ]
    between((first[1:], second[1:]), says)


def test_ladder_scaling():
    says = [
        ("better in 2 of 2 steps", "better in 0 of 2 steps"),
        ("at the end that of 16", "at the end that of 2."),
        ("one rate is best at all depths, 0.1", "the best rates are 0.1 and 0.2"),
    ]
    between(list(worlds_of_ladder()), says)


def test_what_is_open_is_told_as_open():
    share = Interval(0.55, 0.4, 0.7)
    assert answers.evenly(share) == "not clearly evenly"
    frame = pd.DataFrame([(-1.0, -2, 0.5)] * 2, index=[0, 64], columns=list(BOUNDS), dtype=float)
    assert "stays open" in answers.of_training(frame)
    assert "does not clearly change" in captions.of_training(frame)


def test_ranges_in_prose_are_those_of_the_registry():
    told = worded("depth-exponent", "rotations-evenly-spread")
    assert told["depth-exponent"] == "{:g} to {:g}".format(*fits.ABOUT_ONE)
    assert set(told) > {"rotations-evenly-spread-evenness", "rotations-evenly-spread-rotation"}


@pytest.mark.parametrize("chapter", WRITTEN)
def test_no_finding_is_typed(chapter):
    notebook = nbformat.read(BOOK / f"{chapter}.ipynb", 4)
    figures = [c.metadata.get("mystnb", {}).get("figure", {}) for c in notebook.cells]
    typed = [c.source for c in notebook.cells if c.cell_type == "markdown"]
    text = re.sub(r"\s+", " ", " ".join([*typed, *(f.get("caption", "") for f in figures)]))
    assert [words for words in FOUND if words in text] == []
