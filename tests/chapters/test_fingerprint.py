"""The fingerprint changes with each thing that a chapter's numbers depend on, and with no other."""

from __future__ import annotations

import os

from companion.chapters import find
from companion.chapters.fingerprint import chapter_fingerprint, environment_hash
from companion.models import open_models


def test_notebook_parameters_and_environment_hash_count(tiny_book, write_chapter):
    write_chapter("only")
    chapter = find(tiny_book, "only")
    first = chapter_fingerprint(chapter, {"n": 2}, "here")
    assert chapter_fingerprint(chapter, {"n": 2}, "here") == first
    assert chapter_fingerprint(chapter, {"n": 3}, "here") != first
    assert chapter_fingerprint(chapter, {"n": 2}, "there") != first
    write_chapter("only", "n")
    assert chapter_fingerprint(chapter, {"n": 2}, "here") != first


def test_files_that_parameters_name_count(tiny_book, write_chapter, tmp_path, monkeypatch):
    write_chapter("only")
    chapter = find(tiny_book, "only")
    monkeypatch.chdir(tmp_path)
    seen = []
    for text in (None, "a", "ab"):
        if text is not None:
            (tmp_path / "model").mkdir(exist_ok=True)
            (tmp_path / "model" / "weights").write_text(text)
        for value in ("model", "model@step1", ["model"], "other, model", "m" * 5000):
            seen.append(chapter_fingerprint(chapter, {"n": value}, "here"))
    assert len(set(seen)) == 3 * 5 - 2


def test_data_and_stored_results_count(tiny_book, tmp_path, monkeypatch):
    monkeypatch.delenv("COMPANION_DATA", raising=False)
    seen = {environment_hash(tiny_book)}
    (tiny_book.sources / "results").mkdir()
    (tiny_book.sources / "results" / "large.json").write_text("{}")
    seen.add(environment_hash(tiny_book))
    data = tmp_path / "data"
    data.mkdir()
    (data / "table.csv").write_text("m,ell,D,loss\n")
    monkeypatch.setenv("COMPANION_DATA", str(data))
    seen.add(environment_hash(tiny_book))
    (data / "table.csv").write_text("m,ell,D,loss\n1,2,3,4\n")
    seen.add(environment_hash(tiny_book))
    assert len(seen) == 4


def test_installed_versions_count(tiny_book, monkeypatch):
    before = environment_hash(tiny_book)
    monkeypatch.setattr("companion.chapters.fingerprint._versions", lambda: ["numpy==0"])
    assert environment_hash(tiny_book) != before


def test_open_models_that_come_and_go_and_leave_to_fetch_them_count(
    tiny_book, tmp_path, monkeypatch
):
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("COMPANION_OFFLINE", raising=False)
    absent = environment_hash(tiny_book)
    file = next(iter(open_models().values())).file
    file.parent.mkdir(parents=True)
    file.touch()
    assert environment_hash(tiny_book) == absent
    os.truncate(file, next(iter(open_models().values())).size)
    here = environment_hash(tiny_book)
    monkeypatch.setenv("COMPANION_OFFLINE", "1")
    assert len({absent, here, environment_hash(tiny_book)}) == 3
    file.unlink()
    monkeypatch.delenv("COMPANION_OFFLINE")
    assert environment_hash(tiny_book) == absent
