"""What a figure shows, as a table: read from its lines, bars, bands, points and images.

So each figure of the book can be had as numbers, whoever drew it, and the numbers are those drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PLACE = ("panel", "x_axis", "y_axis", "series", "mark")
COLUMNS = [*PLACE, "x", "x_low", "x_high", "x_name", "y", "y_low", "y_high", "y_name", "value"]


def table(figure: Figure) -> pd.DataFrame:
    """Everything that a figure shows, a row for each point.

    Parameters
    ----------
    figure : Figure
        Any matplotlib figure. Its words and legends are left out.

    Returns
    -------
    DataFrame
        `panel` (title or number of the Axes), `x_axis` and `y_axis` (their labels), `series` (its
        label, or its number), `mark` (line, points, bars, band, range, reference, image, contour);
        `x` and `y` in the units of the axes, `x_low`, `x_high`, `y_low`, `y_high` where an interval
        is drawn, `x_name` and `y_name` where an axis names places; and `value`, the number that a
        colour or a contour stands for. Columns that nothing needs are left out.
    """
    import pandas as pd

    panels = [ax for ax in figure.axes if ax.get_label() != "<colorbar>"]
    rows = [row for number, ax in enumerate(panels, 1) for row in _panel(ax, number)]
    return pd.DataFrame(rows, columns=pd.Index(COLUMNS)).dropna(axis="columns", how="all")


def csv(figure: Figure) -> str:
    """`table` as comma-separated text, six significant digits."""
    return table(figure).to_csv(index=False, float_format="%.6g", lineterminator="\n")


def _panel(ax: Axes, number: int) -> Iterator[dict[str, Any]]:
    title = next(filter(None, map(ax.get_title, ("center", "left", "right"))), str(number))
    place = {"panel": title, "x_axis": ax.get_xlabel(), "y_axis": ax.get_ylabel()}
    names = {axis: _named(getattr(ax, f"{axis}axis")) for axis in "xy"}
    held = {id(part) for whole in ax.containers for part in _parts(whole)}
    loose = [one for one in ax.get_children() if id(one) not in held]
    drawn = ((artist, list(_points(artist, ax))) for artist in [*ax.containers, *loose])
    for series, (artist, points) in enumerate((one for one in drawn if one[1]), 1):
        for point in points:
            named = {f"{axis}_name": names[axis].get(point.get(axis, np.nan)) for axis in "xy"}
            yield place | {"series": _series(artist, series)} | named | point


def _series(artist: Any, number: int) -> str:
    bar = getattr(artist, "colorbar", None)
    label = str(artist.get_label() or "")
    given = label if label and not label.startswith("_") else ""
    return given or (bar.ax.get_ylabel() if bar else "") or str(number)


def _named(axis: Any) -> dict[float, str]:
    """Places of an axis that bear names rather than numbers."""
    from matplotlib.category import StrCategoryLocator
    from matplotlib.ticker import FixedLocator

    if not isinstance(axis.get_major_locator(), FixedLocator | StrCategoryLocator):
        return {}
    places = axis.get_majorticklocs()
    names = axis.get_major_formatter().format_ticks(places)
    listed = zip(map(float, places), names, strict=True)
    return {place: name for place, name in listed if name and not _is_number(name)}


def _is_number(name: str) -> bool:
    try:
        float(name.replace("\N{MINUS SIGN}", "-"))
    except ValueError:
        return name.startswith(r"$\mathdefault")
    return True


def _parts(container: Any) -> Iterator[Any]:
    for part in container:
        yield from _parts(part) if isinstance(part, tuple | list) else [part]


def _points(artist: Any, ax: Axes) -> Iterable[dict[str, Any]]:
    """The points of one artist; of what shows no data, none."""
    from matplotlib import collections, container, contour, image, lines, patches

    kinds = {
        lines.Line2D: _line,
        container.ErrorbarContainer: _errors,
        container.BarContainer: _bars,
        patches.Rectangle: _range,
        image.AxesImage: _image,
        collections.QuadMesh: _mesh,
        contour.ContourSet: _contour,
        collections.PolyCollection: _band,
        collections.PathCollection: _scatter,
    }
    read = next((kinds[kind] for kind in kinds if isinstance(artist, kind)), None)
    return read(artist, ax) if read else ()


def _along(artist: Any, ax: Axes) -> tuple[bool, bool]:
    """Whether an artist's x, and its y, are in the units of the data."""
    return artist.get_transform().contains_branch_seperately(ax.transData)


def _line(line: Any, ax: Axes) -> Iterable[dict[str, Any]]:
    x, y = (np.asarray(one, float) for one in line.get_data(orig=False))
    match _along(line, ax):
        case (True, True):
            mark = "points" if line.get_linestyle() in ("None", "", " ") else "line"
            return _rows(mark, x=x, y=y)
        case (True, False):
            return [{"mark": "reference", "x": x[0]}]
        case (False, True):
            return [{"mark": "reference", "y": y[0]}]
    return ()


def _errors(container: Any, ax: Axes) -> Iterable[dict[str, Any]]:
    line, _, bars = container
    lines = iter(bars)
    columns = {"x": line.get_xdata(orig=False), "y": line.get_ydata(orig=False)} if line else {}
    for axis, has in ((0, container.has_xerr), (1, container.has_yerr)):
        if has:
            ends, name, other = _ends(next(lines)), "xy"[axis], "yx"[axis]
            columns.setdefault(other, ends[:, 0, 1 - axis])
            placed = _placed(ends[:, 0, 1 - axis], columns[other])
            low, high = np.full((2, len(columns[other])), np.nan)
            low[placed], high[placed] = ends[..., axis].min(1), ends[..., axis].max(1)
            columns |= {f"{name}_low": low, f"{name}_high": high}
    return _rows("points", **columns)


def _ends(bars: Any) -> np.ndarray:
    """Both ends (bar, end, coordinate) of every bar that has two."""
    ends = np.array([path.vertices for path in bars.get_paths()]).reshape(-1, 2, 2)
    return ends[np.isfinite(ends).all((1, 2))]


def _placed(bars: np.ndarray, points: np.ndarray) -> list[int]:
    """Which of the points, in their order, each bar is of: one without ends is not drawn."""
    places, at = [], 0
    for bar in bars:
        while points[at] != bar:
            at += 1
        places.append(at)
        at += 1
    return places


def _bars(container: Any, ax: Axes) -> Iterable[dict[str, Any]]:
    boxes = [patch.get_bbox() for patch in container]
    if container.orientation == "horizontal":
        places = {"x": [box.x1 if box.x1 else box.x0 for box in boxes]}
        return _rows("bars", **places, y=[(box.y0 + box.y1) / 2 for box in boxes])
    tops = [box.y1 if box.y1 else box.y0 for box in boxes]
    return _rows("bars", x=[(box.x0 + box.x1) / 2 for box in boxes], y=tops)


def _range(patch: Any, ax: Axes) -> Iterable[dict[str, Any]]:
    box, along = patch.get_bbox(), _along(patch, ax)
    row = {"x_low": box.xmin, "x_high": box.xmax} if along[0] else {}
    row |= {"y_low": box.ymin, "y_high": box.ymax} if along[1] else {}
    return [{"mark": "range", **row}] if row else ()


def _image(image: Any, ax: Axes) -> Iterable[dict[str, Any]]:
    values = np.ma.filled(np.ma.asarray(image.get_array(), float), np.nan)
    left, right, bottom, top = image.get_extent()
    first, last = (top, bottom) if image.origin == "upper" else (bottom, top)
    x, y = _centres(left, right, values.shape[1]), _centres(first, last, values.shape[0])
    return _grid(
        np.broadcast_to(x, values.shape), np.broadcast_to(y[:, None], values.shape), values
    )


def _centres(start: float, stop: float, n: int) -> np.ndarray:
    return start + (np.arange(n) + 0.5) * (stop - start) / n


def _mesh(mesh: Any, ax: Axes) -> Iterable[dict[str, Any]]:
    corners = mesh.get_coordinates()
    centres = (corners[1:, 1:] + corners[:-1, :-1]) / 2
    values = np.ma.filled(np.ma.asarray(mesh.get_array(), float), np.nan)
    return _grid(centres[..., 0], centres[..., 1], values.reshape(centres.shape[:2]))


def _grid(x: np.ndarray, y: np.ndarray, values: np.ndarray) -> Iterable[dict[str, Any]]:
    """A row for each cell that has a value."""
    known = np.isfinite(values)
    return _rows("image", x=x[known], y=y[known], value=values[known])


def _contour(contour: Any, ax: Axes) -> Iterable[dict[str, Any]]:
    if contour.filled:
        return
    for level, path in zip(contour.levels, contour.get_paths(), strict=True):
        for point in _rows("contour", x=path.vertices[:, 0], y=path.vertices[:, 1]):
            yield point | {"value": float(level)}


def _band(band: Any, ax: Axes) -> Iterable[dict[str, Any]]:
    for path in band.get_paths():
        x, y = path.vertices.T
        for place in np.unique(x):
            heights = y[x == place]
            yield {"mark": "band", "x": place, "y_low": heights.min(), "y_high": heights.max()}


def _scatter(cloud: Any, ax: Axes) -> Iterable[dict[str, Any]]:
    offsets = np.ma.filled(cloud.get_offsets(), np.nan)
    colours = cloud.get_array()
    value = {} if colours is None else {"value": np.asarray(colours, float)}
    return _rows("points", x=offsets[:, 0], y=offsets[:, 1], **value)


def _rows(mark: str, **columns: Any) -> Iterable[dict[str, Any]]:
    """A row for each place of columns of one length that is not a gap."""
    for values in zip(*columns.values(), strict=True):
        row = dict(zip(columns, map(float, values), strict=True))
        if all(np.isfinite(row[axis]) for axis in "xy" if axis in row):
            yield {"mark": mark, **row}
