"""The table of a figure holds what was drawn, to the digits that it prints."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from companion.plotting import theme
from companion.plotting.theme.drawn import csv

X, Y = np.array([1.0, 2.0, 4.0]), np.array([0.5, 0.25, 0.125])


@pytest.fixture
def ax():
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


def shown(ax) -> pd.DataFrame:
    """The table as a reader gets it, after a trip through text."""
    return pd.read_csv(io.StringIO(csv(ax.figure)))


def test_lines_and_points_keep_names_and_values(ax):
    ax.plot(X, Y, label="one")
    ax.plot(X, 2 * Y, "o")
    ax.set(xscale="log", xlabel="depth", ylabel="loss", title="left")
    found = shown(ax)
    assert list(found["mark"]) == ["line"] * 3 + ["points"] * 3
    assert list(found["series"].unique()) == ["one", "2"]
    one = found[found["series"] == "one"]
    assert one[["x", "y"]].to_numpy() == pytest.approx(np.array([X, Y]).T)
    assert set(found["panel"]) == {"left"}
    assert set(found["x_axis"] + found["y_axis"]) == {"depthloss"}
    assert not {"value", "y_low"} & set(found)


def test_gaps_are_left_out(ax):
    ax.plot([1, 2, 3], [1, np.nan, 3])
    assert list(shown(ax)["x"]) == [1, 3]


@pytest.mark.parametrize("axis", ["x", "y"])
def test_intervals_keep_their_ends(ax, axis):
    ends = np.array([[0.1, 0.2, 0.3], [0.3, 0.2, 0.1]])
    ax.errorbar(X, Y, **{f"{axis}err": ends}, capsize=3, label="runs")
    found = shown(ax)
    middle = {"x": X, "y": Y}[axis]
    assert len(found) == 3
    assert found[f"{axis}_low"].to_numpy() == pytest.approx(middle - ends[0])
    assert found[f"{axis}_high"].to_numpy() == pytest.approx(middle + ends[1])
    assert set(found["series"]) == {"runs"}


def test_an_interval_without_ends_is_empty_there(ax):
    ax.errorbar(X, Y, yerr=np.array([[0.1, np.nan, 0.1], [0.1, np.nan, 0.2]]), fmt="o")
    found = shown(ax)
    assert list(found["x"]) == list(X)
    assert list(found["y_low"].isna()) == [False, True, False]
    assert found["y_high"][2] == pytest.approx(Y[2] + 0.2)


@pytest.mark.parametrize("ends", [[0.1, 0.1, 0.2], [np.nan] * 3])
def test_intervals_without_points_have_no_estimate(ax, ends):
    ax.errorbar(X, Y, yerr=ends, fmt="none")
    found = theme.table(ax.figure)
    assert "y" not in found
    assert list(found.get("y_high", [])) == pytest.approx(
        [y + e for y, e in zip(Y, ends, strict=True) if e == e]
    )


def test_bands_give_low_and_high_at_each_place(ax):
    ax.fill_between(X, Y / 2, Y * 2, alpha=0.3)
    found = shown(ax).query("mark == 'band'")
    assert found["y_low"].to_numpy() == pytest.approx(Y / 2)
    assert found["y_high"].to_numpy() == pytest.approx(Y * 2)


def test_bars_and_named_places(ax):
    ax.barh(["skip", "swap"], [3.0, -2.0])
    found = shown(ax)
    assert dict(zip(found["y_name"], found["x"], strict=True)) == {"skip": 3.0, "swap": -2.0}


def test_named_ticks_name_the_points_at_them_in_every_panel():
    figure, (left, right) = plt.subplots(1, 2, sharey=True)
    left.set_yticks([0, 1], ["ladder", "real"])
    left.plot([1.0, 2.0], [0, 1], "o")
    right.plot([3.0, 4.0], [0, 0.9], "o")
    right.set_xticks([3, 4], ["3", "−4"])
    found = theme.table(figure)
    assert list(found["y_name"][:3]) == ["ladder", "real", "ladder"]
    assert found["y_name"].isna()[3]
    assert "x_name" not in found


def test_references_and_ranges_have_one_coordinate(ax):
    ax.plot(X, Y)
    ax.axhline(1.5)
    ax.axvline(3.0)
    ax.axvspan(0.75, 1.25)
    found = shown(ax)
    reference = found[found["mark"] == "reference"]
    assert list(reference["y"].dropna()) == [1.5]
    assert list(reference["x"].dropna()) == [3.0]
    span = found[found["mark"] == "range"].iloc[0]
    assert (span["x_low"], span["x_high"]) == (0.75, 1.25)


@pytest.mark.parametrize("origin", ["upper", "lower"])
def test_images_give_each_cell_at_its_place(ax, origin):
    values = np.arange(6.0).reshape(2, 3)
    ax.figure.colorbar(ax.imshow(values, origin=origin), label="share")
    found = shown(ax)
    at = found.set_index(["x", "y"])["value"]
    assert all(at[column, row] == value for (row, column), value in np.ndenumerate(values))
    assert set(found["series"]) == {"share"}


def test_meshes_leave_out_what_is_masked(ax):
    values = np.ma.masked_less(np.array([[0.0, 1.0], [2.0, 3.0]]), 1)
    ax.pcolormesh([0, 1, 2], [0, 10, 20], values)
    found = shown(ax).set_index(["x", "y"])["value"]
    assert found.to_dict() == {(1.5, 5.0): 1.0, (0.5, 15.0): 2.0, (1.5, 15.0): 3.0}


def test_contours_lie_on_their_level(ax):
    grid = np.linspace(-2, 2, 81)
    ax.contour(grid, grid, grid[None, :] ** 2 + grid[:, None] ** 2, levels=[1.0])
    found = shown(ax)
    assert set(found["value"]) == {1.0}
    assert (found["x"] ** 2 + found["y"] ** 2).to_numpy() == pytest.approx(1, abs=2e-3)


def test_what_is_placed_on_the_page_is_no_data(ax):
    ax.plot([0.1, 0.9], [0.5, 0.5], transform=ax.transAxes)
    ax.text(0.5, 0.5, "words")
    assert len(theme.table(ax.figure)) == 0


def test_scatter_keeps_the_number_behind_its_colour(ax):
    ax.scatter(X, Y, c=[5.0, 6.0, 7.0])
    assert list(shown(ax)["value"]) == [5.0, 6.0, 7.0]
