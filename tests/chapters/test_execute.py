"""Executing chapters: whole or not at all, for a reason that is told, and not twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import nbformat
import psutil
import pytest

from companion.chapters import ChapterError, discover, execute, find, record_results, stage_jobs
from companion.chapters.executor import ALL
from companion.errors import InputError

pytestmark = pytest.mark.slow


def _run(book, **options):
    events = []

    def progress(done, total, note="", task=""):
        if task != ALL and not note.startswith("cell"):
            events.append((task, note))

    due = stage_jobs(book, discover(book), "quick")
    return execute(due, progress=progress, **options), events


def test_chapters_run_in_parallel_and_then_are_skipped(tiny_book, write_chapter):
    write_chapter("first", "n * scale")
    write_chapter("second", "import os\nos.environ['OMP_NUM_THREADS']")
    done, events = _run(tiny_book, jobs=2)
    assert sorted(done) == ["first", "second"]
    assert [kind for _, kind in events[:2]] == ["started", "started"]
    done, events = _run(tiny_book, jobs=2)
    assert done == []
    assert sorted(events) == [(name, "unchanged, not run again") for name in ("first", "second")]
    write_chapter("second", "n")
    done, _ = _run(tiny_book)
    assert done == ["second"]
    assert sorted(_run(tiny_book, force=True)[0]) == ["first", "second"]


def test_a_chapter_reads_files_named_from_here_and_again_when_they_change(
    tiny_book, write_chapter, tmp_path, monkeypatch
):
    here = tmp_path / "here"
    here.mkdir()
    (here / "json.py").write_text("raise ImportError('a namesake of a module was imported')")
    (here / "own.txt").write_text("one")
    monkeypatch.chdir(here)
    path = write_chapter("only", "from pathlib import Path\nPath(text).read_text()")
    path.write_text(path.read_text().replace("seed: int = 0 ", 'text: str = \\"own.txt\\" '))
    assert _run(tiny_book)[0] == ["only"]
    assert _run(tiny_book)[0] == []
    (here / "own.txt").write_text("other")
    assert _run(tiny_book)[0] == ["only"]
    assert "'other'" in tiny_book.staged("only").read_text()
    assert sorted(file.name for file in here.iterdir()) == ["json.py", "own.txt"]


def test_the_record_holds_parameters_claims_and_provenance(tiny_book, write_chapter):
    write_chapter("only")
    (tiny_book.sources / "profiles").mkdir()
    (tiny_book.sources / "profiles" / "full.yaml").write_text("only:\n  n: 3\n")
    execute(stage_jobs(tiny_book, discover(tiny_book), "full"))
    found = record_results(tiny_book.staged("only"), tiny_book.results / "only.json")
    assert found == json.loads((tiny_book.results / "only.json").read_text())
    assert found["parameters"] == {"n": 3, "scale": 0.5, "kind": "plain", "seed": 0}
    assert [claim["key"] for claim in found["claims"]] == ["fact-moves-gradually"]
    assert found["provenance"]["parameters"] == {"n": 3, "scale": 0.5}
    assert not list(tiny_book.partial.glob("*"))


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("raise ValueError('no such layer')", r"cell \[3\] raised ValueError: no such layer"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "its kernel died"),
        ("import time\ntime.sleep(60)", "not done after 20 s"),
    ],
    ids=["failing cell", "dead kernel", "timeout"],
)
def test_a_broken_chapter_is_kept_apart_and_the_others_finish(
    tiny_book, write_chapter, cell, reason
):
    write_chapter("bad", cell)
    write_chapter("good")
    with pytest.raises(ChapterError, match=reason):
        _run(tiny_book, timeout=20)
    assert tiny_book.staged("good").exists()
    assert not tiny_book.staged("bad").exists()
    assert nbformat.read(tiny_book.partial / "bad.ipynb", 4).cells


def test_a_failing_chapter_leaves_the_last_good_run_in_place(tiny_book, write_chapter):
    write_chapter("only")
    _run(tiny_book)
    before = tiny_book.staged("only").read_bytes()
    write_chapter("only", "1 / 0")
    with pytest.raises(ChapterError, match="ZeroDivisionError"):
        _run(tiny_book)
    assert tiny_book.staged("only").read_bytes() == before


def test_a_full_disk_is_named_and_nothing_half_written_counts(tiny_book, write_chapter):
    write_chapter("only")
    tiny_book.partial.mkdir(parents=True)
    (tiny_book.partial / "only.ipynb").symlink_to("/dev/full")
    with pytest.raises(ChapterError, match="No space left on device"):
        _run(tiny_book)
    assert not tiny_book.staged("only").exists()


def _interrupt_once(there):
    """Send ourselves Ctrl-C as soon as a file exists: however busy the machine is."""
    while not there.exists():
        time.sleep(0.1)
    time.sleep(1)
    os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupt_ends_workers_and_kernels(tiny_book, write_chapter):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored behind a shell's &
    write_chapter("endless", "import time\ntime.sleep(300)")
    ours = psutil.Process()
    begins = tiny_book.partial / "endless.ipynb"
    threading.Thread(target=_interrupt_once, args=(begins,), daemon=True).start()
    begun = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            _run(tiny_book)
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - begun < 60
    _, alive = psutil.wait_procs(ours.children(recursive=True), timeout=5)
    assert not [process for process in alive if "ipykernel" in " ".join(process.cmdline())]
    assert not tiny_book.staged("endless").exists()
    assert (tiny_book.partial / "endless.ipynb").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_command_that_is_ended_leaves_no_process_behind(tiny_book, write_chapter, number):
    """`timeout` sends the one, a machine that runs out of memory the other."""
    begun = tiny_book.root / "begun"
    write_chapter(
        "endless", f"import pathlib, time\npathlib.Path({str(begun)!r}).touch()\ntime.sleep(300)"
    )
    command = [sys.executable, "-c", "from companion.cli import main; main()", "run", "endless"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        deadline = time.monotonic() + 60
        while not begun.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        family = psutil.Process(running.pid).children(recursive=True)
        running.send_signal(number)
        _, said = running.communicate(timeout=30)
    assert len(family) >= 2
    _, alive = psutil.wait_procs(family, timeout=15)
    assert not alive
    if number == signal.SIGTERM:
        assert running.returncode == 130
        assert said.splitlines()[-1] == "interrupted"
    assert not tiny_book.staged("endless").exists()


def test_an_unknown_chapter_gets_the_nearest_name(tiny_book, write_chapter):
    write_chapter("probing")
    with pytest.raises(InputError, match="did you mean probing"):
        find(tiny_book, "probng")


def test_a_profile_that_names_no_chapter_is_refused(tiny_book, write_chapter):
    write_chapter("only")
    (tiny_book.sources / "profiles").mkdir()
    (tiny_book.sources / "profiles" / "full.yaml").write_text("onyl:\n  n: 3\n")
    with pytest.raises(InputError, match="did you mean only"):
        stage_jobs(tiny_book, discover(tiny_book), "full")
    assert isinstance(tiny_book.root, Path)


def test_a_chapter_that_was_renamed_answers_to_its_old_name(tiny_book, write_chapter):
    path = write_chapter("fresh")
    path.write_text(path.read_text().replace('"minutes"', '"formerly": ["stale"], "minutes"'))
    with pytest.warns(UserWarning, match="chapter 'stale' is now 'fresh'"):
        assert find(tiny_book, "stale").name == "fresh"
    with pytest.raises(InputError, match="no chapter 'other'"):
        find(tiny_book, "other")
    write_chapter("stale")
    assert find(tiny_book, "stale").name == "stale"


def test_a_build_tells_the_time_that_is_left(tiny_book, write_chapter):
    write_chapter("first")
    write_chapter("second")
    told = []
    execute(
        stage_jobs(tiny_book, discover(tiny_book), "quick"),
        jobs=1,
        progress=lambda done, total, note="", task="": told.append((task, done, total, note)),
    )
    of_all = [(done, total, note) for task, done, total, note in told if task == ALL]
    assert of_all[0][1] == pytest.approx(12.0, abs=1.0)
    assert of_all[-1][0] == of_all[-1][1]
    assert of_all[-1][2] == "2 of 2 done"
    cells = [note for task, _, _, note in told if task == "first" and note.startswith("cell")]
    assert cells == [f"cell {number} of 4" for number in range(1, 5)]
