"""How far a figure may shrink, from its own type."""

from __future__ import annotations

import sys

import pytest

from companion.files import checkout

ROOT = checkout()
assert ROOT is not None
SVG = '<svg viewBox="0 0 460.8 216" width="460.8pt"><g transform="scale({} -{})"/></svg>'


@pytest.fixture
def least_width(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    import wide_figures

    yield wide_figures.least_width
    del sys.modules["wide_figures"]


@pytest.mark.parametrize(("points", "least"), [(12.0, 346), (9.0, 461), (6.0, 691)])
def test_the_smallest_type_sets_the_least_width(least_width, points, least):
    assert least_width(SVG.format(points / 100, points / 100)) == least


def test_indices_do_not_count_and_a_picture_without_type_may_shrink(least_width):
    drawn = SVG.format(0.12, 0.12).replace("<g", '<use transform="translate(0 1) scale(0.7)"/><g')
    assert least_width(drawn) == 346
    assert least_width('<svg width="10pt"></svg>') == 0
