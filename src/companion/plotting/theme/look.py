"""One look for every figure: seaborn, colour-blind safe, sharp, readable on light and dark pages.

Floor 4. Backgrounds are transparent and text is a middle grey, so that one picture serves both
modes of the book. In a notebook figures are SVG; what has many points is drawn `rasterized=True`,
at twice the density of a screen, and its type and axes stay lines; its numbers come with it. Tests
hold the contrast of every colour against both page backgrounds, and the distance between any two
families as people with red-green blindness see them.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from companion.plotting.theme.drawn import csv

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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
TYPE = 12.5  # points; in three panels side by side still more than 9 px at the width of a page
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

    shell = get_ipython()
    if shell is not None:
        set_matplotlib_formats("svg", dpi=RASTER_DPI, metadata={"Date": None})
        _add_numbers(shell.display_formatter)


def _add_numbers(display: Any) -> None:
    """Give each figure that a notebook shows its numbers beside its picture."""
    from IPython.core.formatters import BaseFormatter
    from matplotlib.figure import Figure

    numbers = BaseFormatter(parent=display, print_method="_repr_csv_")
    numbers.format_type = "text/csv"
    numbers.for_type(Figure, csv)
    display.formatters["text/csv"] = numbers


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


def label(ax: Axes, title: str = "") -> None:
    """Write the names of an Axes' lines at their right ends, in their colours; no legend.

    Long names are broken, and names that would touch are moved apart. A second call replaces the
    names of the first. Where one is of something that is not a line, all stand in a legend above.

    Parameters
    ----------
    ax : Axes
    title : str
        What the names are of; stands above them.
    """
    for text in [text for text in ax.texts if (text.get_gid() or "").startswith("label")]:
        text.remove()
    handles, names = ax.get_legend_handles_labels()
    lines = [_line(handle) for handle in handles]
    if not lines:
        return
    if any(line is None for line in lines):
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=min(len(names), 3))
        return
    box = ax.get_window_extent()
    line_height = 1.35 * TYPE / (72 * box.height / ax.figure.dpi)
    names = [_broken(name, box.width / ax.figure.dpi * 72 / TYPE / 2) for name in names]
    heights = [_end(ax, line) for line in lines]
    order = sorted(range(len(lines)), key=heights.__getitem__)
    sizes = [line_height * (1 + names[at].count("\n")) for at in order]
    places = dict(zip(order, _apart([heights[at] for at in order], sizes), strict=True))
    place: dict[str, Any] = {"xycoords": "axes fraction", "va": "center"}
    for at, line in enumerate(lines):
        where = (1.02, places[at])
        ax.annotate(names[at], where, color=line.get_color(), gid="label", **place)
    if title:
        above = (1.02, places[order[-1]] + (sizes[-1] + line_height) / 2)
        ax.annotate(title, above, color=INK, gid="label title", **place)


def _broken(name: str, letters: float) -> str:
    """A name in lines of about so many letters, at least 9; formulas stay whole."""
    import re
    import textwrap

    whole = re.sub(r"\$[^$]*\$", lambda match: match[0].replace(" ", "\0"), name)
    lines = textwrap.wrap(whole, max(int(letters), 9), break_long_words=False)
    return "\n".join(lines).replace("\0", " ")


def names_of(ax: Axes) -> list[str]:
    """The names that `label` wrote, at the lines or in a legend."""
    legend = ax.get_legend()
    texts = legend.get_texts() if legend else [t for t in ax.texts if t.get_gid() == "label"]
    return [text.get_text().replace("\n", " ") for text in texts]


def _line(handle: Any) -> Any:
    """The line of a legend's handle, or of the container that it is; None without one."""
    handle = handle[0] if isinstance(handle, tuple) else handle
    return handle if hasattr(handle, "get_xydata") and len(handle.get_xdata()) else None


def _end(ax: Axes, line: Any) -> float:
    """The height at which a line ends, as a share of the Axes; a line may have gaps."""
    import numpy as np

    points = np.asarray(line.get_transform().transform(line.get_xydata()), float)
    points = points[np.isfinite(points).all(1)]
    if not len(points):
        return 0.5
    y = ax.transAxes.inverted().transform(points[points[:, 0].argmax()])[1]
    return float(np.clip(y, 0.0, 1.0))


def _apart(heights: list[float], sizes: list[float]) -> list[float]:
    """Rising heights moved apart by the sizes of what stands there, below 1 if it can be."""
    gaps = [(one + other) / 2 for one, other in itertools.pairwise(sizes)]
    placed = heights[:1]
    for height, gap in zip(heights[1:], gaps, strict=True):
        placed.append(max(height, placed[-1] + gap))
    placed[-1] = min(placed[-1], 1.0)
    for at in reversed(range(len(gaps))):
        placed[at] = min(placed[at], placed[at + 1] - gaps[at])
    return placed


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
        "figure.figsize": (6.4, 3.2),
        "figure.dpi": 120,
        **dict.fromkeys(("font.size", "xtick.labelsize", "ytick.labelsize"), TYPE),
        **dict.fromkeys(("axes.labelsize", "axes.titlesize"), TYPE + 0.5),
        **dict.fromkeys(("legend.fontsize", "legend.title_fontsize"), TYPE),
        "figure.constrained_layout.use": True,
        "lines.linewidth": 1.8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "svg.hashsalt": "companion",
    }
