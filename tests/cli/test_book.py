"""Commands of the book: figures as JSON, and one sentence for bad input before anything starts."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest
from typer.testing import CliRunner

from companion.cli import app
from companion.runs import locked

CELL = "count: int = 2  # how many [1, 9]\nseed: int = 0  # seed [0, ]"


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A book of one small chapter, `counting`."""
    (tmp_path / "book").mkdir()
    parameters = nbformat.v4.new_code_cell(CELL, metadata={"tags": ["parameters"]})
    cells = [nbformat.v4.new_markdown_cell("# Counting"), parameters]
    notebook = nbformat.v4.new_notebook(
        cells=[*cells, nbformat.v4.new_code_cell("print(count / (count - 3))")],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    nbformat.write(notebook, tmp_path / "book" / "counting.ipynb")
    monkeypatch.setenv("COMPANION_BOOK", str(tmp_path))
    return tmp_path


def _call(*given: str):
    return CliRunner().invoke(app, list(given))


def test_chapters_are_listed_with_their_parameters(book):
    (one,) = json.loads(_call("chapters", "--json").stdout)
    assert (one["name"], one["title"], one["minutes"]) == ("counting", "Counting", 1.0)
    assert one["parameters"][0] == {
        "name": "count",
        "type": "int",
        "default": 2,
        "help": "how many",
        "limits": "from 1 to 9",
    }
    assert "count: int = 2  how many (from 1 to 9)" in _call("chapters").stdout


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["run", "countign"], "no chapter 'countign': did you mean counting?"),
        (
            ["run", "counting", "-p", "coutn=1"],
            "chapter counting has no parameter coutn: did you mean count?",
        ),
        (["run", "counting", "-p", "count"], "-p 'count' must read like tokens=4096"),
        (["run", "counting", "-p", "count=two"], "count='two' is not a whole number"),
        (["run", "counting", "-p", "count=10"], "count='10' must be from 1 to 9"),
        (["run", "counting", "--profile", "huge"], "no profile 'huge': use quick or full"),
        (["build", "--only", "x", "y"], "no chapter 'x': there are counting"),
        (["build", "x"], "unexpected argument 'x': name chapters after --only"),
        (["build", "--profile", "huge"], "no profile 'huge': use quick or full"),
        (["serve", "--port", "0"], "no built book in"),
    ],
)
def test_bad_input_is_refused_before_anything_starts(book, given, sentence):
    answer = _call(*given)
    assert answer.exit_code == 2
    assert answer.stderr.startswith(f"error: {sentence}")
    assert answer.stderr.count("\n") == 1
    assert not (book / "_build").exists()


def test_without_a_book_every_command_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_BOOK", str(tmp_path))
    for given in (["chapters"], ["run", "x"], ["build"], ["serve"]):
        answer = _call(*given)
        assert answer.exit_code == 2
        assert "set COMPANION_BOOK" in answer.stderr


@pytest.mark.slow
def test_run_leaves_notebook_and_record_and_reports_as_json(book, tmp_path):
    out = tmp_path / "mine"
    answer = _call("run", "counting", "-p", "count=4", "--out", str(out), "--json")
    assert answer.exit_code == 0, answer.stderr
    found = json.loads(answer.stdout)
    assert found["parameters"] == {"count": 4, "seed": 0}
    assert json.loads((out / "counting.json").read_text())["chapter"] == "counting"
    assert "4.0" in (out / "counting.ipynb").read_text()
    again = _call("run", "counting", "-p", "count=4", "--out", str(out))
    assert again.exit_code == 0


@pytest.mark.slow
def test_a_failing_chapter_is_exit_code_1_with_its_reason(book):
    answer = _call("run", "counting", "-p", "count=3")
    assert answer.exit_code == 1
    assert "ZeroDivisionError: division by zero" in answer.stderr
    assert (book / "_build" / "run" / "partial" / "counting.ipynb").exists()
    assert not (book / "_build" / "run" / "counting.ipynb").exists()


def test_a_build_with_gaps_is_refused(book, monkeypatch):
    monkeypatch.setattr("companion.chapters.execute", lambda *given, **options: [])
    answer = _call("build")
    assert answer.exit_code == 2
    assert "not executed yet: counting" in answer.stderr


def test_doctor_tells_device_kernel_and_what_is_reachable(book, monkeypatch):
    monkeypatch.setattr("companion.chapters.doctor._reach", lambda host: "not asked")
    monkeypatch.setenv("COMPANION_CACHE", str(book / "cache"))
    found = json.loads(_call("doctor", "--json").stdout)
    assert found["cache"] == f"{book / 'cache'} (not there yet)"
    assert found["open models"] == "none here, see `companion models`"
    assert {"device", "dtype", "reason", "kernel", "COMPANION_DATA"} <= set(found)
    assert found["kernel"].startswith("python3")
    assert "1 chapters, not built" in found["book"]
    monkeypatch.setattr("companion.chapters.doctor._kernel", lambda: "missing: install it")
    assert _call("doctor").exit_code == 1


def test_two_builds_at_once_are_refused(book):
    with locked(book / "_build" / ".lock"):
        answer = _call("build")
    assert answer.exit_code == 2
    assert "another process is at work on" in answer.stderr
    assert not list((book / "_build").iterdir())


@pytest.mark.slow
def test_a_chapter_runs_under_its_former_name_with_one_line_of_warning(book, tmp_path):
    path = book / "book" / "counting.ipynb"
    notebook = nbformat.read(path, 4)
    notebook.metadata["companion"] = {"formerly": ["telling"]}
    nbformat.write(notebook, path)
    answer = _call("run", "telling", "-p", "count=4", "--out", str(tmp_path / "mine"))
    assert answer.exit_code == 0, answer.stderr
    assert answer.stderr.startswith("note: chapter 'telling' is now 'counting'\n")
    assert (tmp_path / "mine" / "counting.json").exists()
