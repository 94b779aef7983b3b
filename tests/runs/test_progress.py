"""The time left follows from what this process did; journals survive a crash."""

from __future__ import annotations

import json

import pytest

from companion.runs import Every, Journal, Pace, silent
from companion.runs.progress import in_words


def _clock(*times):
    return iter(times).__next__


def test_a_steady_run_knows_its_end():
    pace = Pace(_clock(10.0, 14.0, 18.0))
    assert pace.left(0, 8) is None
    assert pace.left(2, 8) == pytest.approx(12.0)
    assert pace.left(4, 8) == pytest.approx(8.0)


def test_what_an_earlier_process_did_is_not_speed():
    pace = Pace(_clock(0.0, 10.0))
    pace.left(90, 100)
    assert pace.left(91, 100) == pytest.approx(90.0)


def test_without_a_total_or_any_progress_no_time_is_told():
    pace = Pace(_clock(0.0, 1.0, 2.0))
    assert [pace.left(*at) for at in ((0, None), (5, None), (0, 10))] == [None, None, None]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, ""),
        (12.3, "about 12 s left"),
        (600.0, "about 10 min left"),
        (9000.0, "about 2.5 h left"),
    ],
)
def test_times_are_for_people(seconds, said):
    assert in_words(seconds) == said


def test_every_is_due_once_a_while(monkeypatch):
    times = iter([0.0, 5.0, 10.0, 15.0, 20.5, 21.0])
    monkeypatch.setattr("companion.runs.progress.time.monotonic", lambda: next(times))
    often = Every(10.0)
    assert [often.due() for _ in range(4)] == [False, True, False, True]
    assert Every(1e9, at_once=True).due()
    silent(1, None, note="nobody listens")


def test_a_journal_goes_on_after_the_last_whole_line(tmp_path):
    path = tmp_path / "trials.jsonl"
    with Journal(path) as journal:
        journal.append({"step": 1})
        journal.append({"step": 2})
    with path.open("a") as file:
        file.write('{"step": 3')
    with Journal(path) as journal:
        assert journal.records == [{"step": 1}, {"step": 2}]
        journal.append({"step": 3})
        journal.flush()
        assert len(path.read_text().splitlines()) == 3
    with Journal(path, keep=lambda record: record["step"] < 2) as journal:
        assert journal.records == [{"step": 1}]
    assert [json.loads(line) for line in path.read_text().splitlines()] == [{"step": 1}]
