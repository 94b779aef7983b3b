"""The theme: every colour is readable on both pages, and for the colour-blind."""

from __future__ import annotations

from itertools import combinations, pairwise

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt

from companion.plotting import theme


def _linear(colour):
    channels = np.array(mpl.colors.to_rgb(colour))
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def _luminance(colour) -> float:
    """Relative luminance, as WCAG 2 defines it."""
    return float(_linear(colour) @ [0.2126, 0.7152, 0.0722])


def _contrast(one, other) -> float:
    low, high = sorted([_luminance(one), _luminance(other)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("page", theme.PAGE_BACKGROUNDS)
def test_text_and_families_stand_out_on_both_pages(page):
    assert _contrast(theme.INK, page) > 4
    assert min(_contrast(colour, page) for colour in theme.FAMILY_PALETTE) >= 3
    assert min(_contrast(colour, page) for colour in theme.depth_palette(9)) > 2.2


def test_depth_runs_from_dark_to_light_in_even_steps():
    brightness = [_luminance(colour) for colour in theme.depth_palette(8)]
    assert all(low < high for low, high in pairwise(brightness))


@pytest.mark.parametrize("n", [1, 2, 5, 48])
def test_the_depth_palette_keeps_its_ends(n):
    colours = theme.depth_palette(n)
    assert len(colours) == n
    if n > 1:
        assert (colours[0], colours[-1]) == (theme.depth_palette(2)[0], theme.depth_palette(2)[1])


# What people without green or without red cones see, in linear RGB: Machado, Oliveira and
# Fernandes, "A physiologically-based model for simulation of color vision deficiency" (2009).
VISION = {
    "trichromat": np.eye(3),
    "deuteranope": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "protanope": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
     [0.0193339, 0.1191920, 0.9503041]]
)  # fmt: skip


def _lab(linear):
    """CIE Lab under the white point D65, for colours well above black."""
    x, y, z = np.cbrt(TO_XYZ @ np.clip(linear, 0, 1) / [0.95047, 1, 1.08883])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("eye", VISION)
def test_families_differ_for_everyone(eye):
    seen = [_lab(VISION[eye] @ _linear(colour)) for colour in theme.FAMILY_PALETTE]
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 25


def test_figures_are_transparent_and_their_text_is_grey():
    with mpl.rc_context():
        theme.use()
        figure, axes = plt.subplots()
        (line,) = axes.plot([0, 1])
        assert figure.get_facecolor()[3] == 0
        assert axes.get_facecolor()[3] == 0
        assert mpl.colors.to_hex(axes.xaxis.label.get_color()) == theme.INK
        assert mpl.colors.to_hex(line.get_color()) == theme.FAMILY_PALETTE[0]
        plt.close(figure)
