"""How long a build will take: from measured or declared times, on several processes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.chapters import discover, find, stage_jobs
from companion.chapters.forecast import Forecast, expected_seconds

TIMES = st.lists(st.floats(0.1, 100), min_size=1, max_size=8)


def test_declared_minutes_serve_until_a_time_is_measured(tiny_book, write_chapter):
    write_chapter("only")
    chapter = find(tiny_book, "only")
    output, values = tiny_book.staged("only"), chapter.values({})
    assert expected_seconds(chapter, values, output) == pytest.approx(6.0)
    assert expected_seconds(chapter, values | {"n": 3}, output) is None
    output.parent.mkdir(parents=True)
    run = {"fingerprint": "old", "parameters": values, "seconds": 2.5}
    output.write_text(json.dumps({"metadata": {"companion": {"run": run}}}))
    assert expected_seconds(chapter, values, output) == 2.5
    assert stage_jobs(tiny_book, discover(tiny_book), "quick")[0].expected == 2.5


@given(TIMES)
def test_one_process_takes_the_sum_and_enough_of_them_the_longest(times):
    assert Forecast(list(times), 1).left(0.0) == pytest.approx(sum(times))
    assert Forecast(list(times), len(times)).left(0.0) == pytest.approx(max(times))


@given(TIMES, st.integers(1, 4))
def test_it_lies_between_perfect_sharing_and_one_after_another(times, processes):
    left = Forecast(list(times), processes).left(0.0)
    assert max(sum(times) / processes, max(times)) - 1e-9 <= left <= sum(times) + 1e-9


def test_time_passes_and_an_overdue_run_is_about_to_end():
    forecast = Forecast([10.0, 4.0, 3.0], 2)
    forecast.start("long", 0.0)
    forecast.start("short", 0.0)
    assert forecast.left(0.0) == pytest.approx(10.0)
    forecast.end("short")
    forecast.start("last", 5.0)
    assert forecast.left(6.0) == pytest.approx(4.0)
    assert forecast.left(60.0) == 0.0


def test_an_unknown_time_is_not_guessed():
    assert Forecast([10.0, None], 2).left(0.0) is None
