"""Figures are drawn without a screen, each on axes of its own; each can be had as numbers."""

import matplotlib

matplotlib.use("Agg")

import pytest
from matplotlib import pyplot as plt

from companion.plotting import theme


@pytest.fixture
def ax(numbers):
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


@pytest.fixture(autouse=True)
def numbers(monkeypatch):
    """What a test has drawn, and leaves open or closes, is read as a table."""
    close = plt.close

    def read(*which):
        for number in plt.get_fignums():
            theme.table(plt.figure(number))
        close(*which)

    monkeypatch.setattr(plt, "close", read)
    yield
    read("all")
