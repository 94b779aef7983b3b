"""What a watcher sees: the time left, few lines, and a bar for each task on a terminal."""

from __future__ import annotations

import pytest

from companion.cli import progress
from companion.cli.progress import Lines, shown


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("companion.runs.progress.time.monotonic", lambda: now[0])
    monkeypatch.setattr("companion.runs.progress.Pace.__init__.__defaults__", (lambda: now[0],))
    return now


def test_a_line_every_ten_seconds_with_the_time_left(clock, capsys):
    lines = Lines("tokens")
    for second in range(0, 31, 2):
        clock[0] = float(second)
        lines(second * 10, 400, note="loss 2.5")
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "100 of 400 tokens, loss 2.5, about 30 s left",
        "200 of 400 tokens, loss 2.5, about 20 s left",
        "300 of 400 tokens, loss 2.5, about 10 s left",
    ]


def test_beginning_and_end_of_a_task_are_always_told(clock, capsys):
    lines = Lines("s")
    lines(0, 40, note="started", task="probing")
    lines(3, 40, note="cell 2 of 9", task="probing")
    lines(12, 12, note="done", task="probing")
    lines(0, 0, note="unchanged, not run again", task="toy")
    assert capsys.readouterr().err.splitlines() == [
        "probing: started",
        "probing: 12 s, done",
        "toy: unchanged, not run again",
    ]


def test_a_terminal_gets_a_bar_for_each_task(monkeypatch, capsys):
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True)
    with shown("steps") as report:
        report(3, 8, note="loss 2.5", task="one")
        report(8, 8, note="loss 1.5", task="one")
        report(1, None, task="two")
    said = capsys.readouterr().err
    assert "8/8 steps" in said
    assert "1/? steps" in said
    assert "loss 1.5" in said
