"""The three regimes as paths of a state in the plane, whose points can be moved."""

from __future__ import annotations

import math

import numpy as np

from companion.plotting.demos.page import Page, page

STEPS = 8
START = (-1.0, 0.35)


def presets(generator: np.random.Generator) -> dict[str, list[list[float]]]:
    """Points (`STEPS` + 1, 2) of one path of each regime, from `START`.

    Averaging: small steps of one direction with large errors of their own. Procedural: a smooth
    turn cut into equal steps. Compositional: few long steps in directions of their own.
    """
    own = generator.normal(0, 0.16, (STEPS, 2))
    noisy = np.array([2.0, 0.0]) / STEPS + own - own.mean(0)
    angle = np.linspace(math.pi * 0.95, math.pi * 0.05, STEPS + 1)
    arc = np.stack([np.cos(angle), 0.35 + 0.6 * np.sin(angle)], 1)
    stages = np.zeros((STEPS, 2))
    stages[[1, 4, 6]] = [[0.5, 0.7], [0.9, -0.5], [0.5, 0.6]]
    stages[stages.sum(1) == 0] = generator.normal(0, 0.01, (STEPS - 3, 2))
    return {
        "ensemble averaging": _path(noisy),
        "procedural assembly": (arc - arc[0] + START).round(3).tolist(),
        "compositional assembly": _path(stages),
    }


def _path(steps: np.ndarray) -> list[list[float]]:
    points = np.concatenate([[START], START + np.cumsum(steps, 0)])
    return points.round(3).tolist()


def paths(generator: np.random.Generator) -> Page:
    """A choice of regime, and a path whose points are dragged or moved by the arrow keys.

    Parameters
    ----------
    generator : numpy.random.Generator
        Draws the errors of the averaging path.
    """
    label = "Path of a state through eight layers; each point can be moved with the arrow keys"
    return page("paths", label, {"presets": presets(generator)})
