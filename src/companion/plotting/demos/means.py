"""How the error of a mean falls with the number of terms, and what correlation leaves of it."""

from __future__ import annotations

import numpy as np

from companion.plotting.demos.page import Page, page

COUNTS = tuple(2**k for k in range(8))
SAMPLES = 2000


def expected(rho: float, count: float) -> float:
    r"""Mean square of the mean of N unit errors of correlation rho, :math:`\rho + (1-\rho)/N`."""
    return rho + (1 - rho) / count


def moments(generator: np.random.Generator) -> list[list[float]]:
    r"""Moments of drawn errors, from which the error of a mean follows for every correlation.

    Layer errors are :math:`\sqrt\rho\,g + \sqrt{1-\rho}\,z_i`. For each count N, the means over
    samples of g², of g times the mean of N of the z, and of that mean squared.
    """
    g = generator.normal(size=SAMPLES)
    means = np.cumsum(generator.normal(size=(SAMPLES, COUNTS[-1])), 1)[:, np.array(COUNTS) - 1]
    means /= np.array(COUNTS)
    return [[float(np.mean(x)) for x in (g * g, g * z, z * z)] for z in means.T]


def drawn(rho: float, parts: list[float]) -> float:
    """Mean square error of a mean in the drawn samples, from its `moments`."""
    gg, gz, zz = parts
    return rho * gg + 2 * (rho * (1 - rho)) ** 0.5 * gz + (1 - rho) * zz


def averaging(generator: np.random.Generator, rho: float = 0.1) -> Page:
    """Sliders for the correlation of errors and for how many are averaged.

    Parameters
    ----------
    generator : numpy.random.Generator
        Draws the errors of 2,000 networks.
    rho : float
        Where the first slider starts.
    """
    data = {"rho": rho, "counts": list(COUNTS), "moments": moments(generator)}
    label = "Mean square error of the mean of N layers against N, drawn and expected"
    return page("averaging", label, data)
