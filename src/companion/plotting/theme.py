"""One look for every figure: seaborn, colour-blind safe, sharp, readable on light and dark pages.

Floor 3. Backgrounds are transparent and text is a middle grey, so that one picture serves both
modes of the book. In a notebook figures are SVG; what has many points is drawn `rasterized=True`,
at twice the density of a screen, and its type and axes stay lines. Tests hold the contrast of every
colour against both page backgrounds, and the distance between any two families as people with
red-green blindness see them.
"""

from __future__ import annotations

INK = "#7a7a7a"
GRID = "#9a9a9a55"
PAGE_BACKGROUNDS = ("#ffffff", "#121212")
FAMILY_PALETTE = (
    "#0078b4",  # blue
    "#d25a00",  # orange
    "#692dff",  # violet
    "#1ea5a5",  # teal
    "#964b3c",  # brown
    "#7878ff",  # periwinkle
)
RASTER_DPI = 240
_DEPTH_RANGE = (0.30, 0.70)


def use() -> None:
    """Make the theme the default of every figure that follows."""
    import seaborn as sns

    sns.set_theme(context="notebook", style="whitegrid", palette=FAMILY_PALETTE, rc=_settings())
    _draw_as_svg()


def _draw_as_svg() -> None:
    """Where a notebook shows figures, show them as SVG that is the same at every run."""
    from IPython.core.getipython import get_ipython
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    if get_ipython() is not None:
        set_matplotlib_formats("svg", dpi=RASTER_DPI, metadata={"Date": None})


def depth_palette(n: int) -> list[tuple[float, float, float]]:
    """`n` colours of the one sequential palette for depth, shallow (violet) to deep (orange).

    Parameters
    ----------
    n : int
        How many depths, at least 1.

    Returns
    -------
    list of (red, green, blue)
        Each in [0, 1]; evenly spaced, the ends the same for every `n` above 1.
    """
    import matplotlib as mpl
    import numpy as np

    places = np.linspace(*_DEPTH_RANGE, n) if n > 1 else [sum(_DEPTH_RANGE) / 2]
    colours = (mpl.colormaps["plasma"](place) for place in places)
    return [(float(red), float(green), float(blue)) for red, green, blue, _ in colours]


def _settings() -> dict[str, object]:
    clear = dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), "none")
    names = ("text.color", "axes.labelcolor", "axes.titlecolor", "axes.edgecolor")
    ink = dict.fromkeys((*names, "xtick.color", "ytick.color", "legend.labelcolor"), INK)
    return {
        **clear,
        **ink,
        "grid.color": GRID,
        "grid.linewidth": 0.6,
        "legend.frameon": False,
        "figure.figsize": (6.4, 4.0),
        "figure.dpi": 120,
        "figure.constrained_layout.use": True,
        "lines.linewidth": 1.8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "svg.hashsalt": "companion",
    }
