"""The pages: strict, whole or untouched, and not built twice; and serving them."""

from __future__ import annotations

import json
import threading
import urllib.request

import pytest

from companion.chapters import (
    BuildError,
    build,
    collect_results,
    discover,
    execute,
    server,
    stage_jobs,
)
from companion.errors import InputError


@pytest.fixture
def executed(tiny_book, write_chapter):
    write_chapter("only")
    (tiny_book.root / "_toc.yml").write_text(
        "format: jb-book\nroot: book/intro\nchapters:\n- file: book/only\n"
    )
    chapters = discover(tiny_book)
    config = tiny_book.root / "_config.yml"
    quiet = "sphinx:\n  config:\n    suppress_warnings: [mystnb.unknown_mime_type]\n"
    config.write_text(config.read_text() + quiet)
    execute(stage_jobs(tiny_book, chapters, "quick"))
    collect_results(tiny_book, chapters)
    return tiny_book, chapters


@pytest.mark.slow
def test_a_book_is_built_once_and_a_broken_one_leaves_it_alone(executed):
    book, chapters = executed
    assert build(book, chapters)
    assert "A question" in (book.html / "book" / "only.html").read_text()
    assert not build(book, chapters)
    whole = (book.html / "book" / "intro.html").read_text()
    (book.sources / "intro.md").write_text("# Introduction\n\nSee {doc}`nowhere`.\n")
    with pytest.raises(BuildError, match="nowhere"):
        build(book, chapters)
    assert (book.html / "book" / "intro.html").read_text() == whole
    assert not list(book.build.glob("pages-*"))


def test_records_of_chapters_that_are_gone_are_removed(executed):
    book, chapters = executed
    (book.results / "old.json").write_text("{}")
    assert collect_results(book, chapters)["ours"]["undecided"] == 0
    assert sorted(path.name for path in book.results.iterdir()) == ["claims.json", "only.json"]
    ledger = json.loads((book.results / "claims.json").read_text())
    assert ledger["counts"]["ours"]["reproduced"] == 1
    assert ledger["claims"][0]["chapter"] == "only"


def test_two_chapters_that_judge_one_claim_share_its_row(executed, write_chapter):
    book, _ = executed
    book.staged("twin").write_bytes(book.staged("only").read_bytes())
    write_chapter("twin")
    collect_results(book, discover(book))
    (row,) = json.loads((book.results / "claims.json").read_text())["claims"]
    assert {run["chapter"] for run in row["runs"]} == {"only", "twin"}


def test_the_server_shows_the_book_here_and_refuses_a_taken_port(tiny_book):
    with pytest.raises(InputError, match="no built book"):
        server(tiny_book, 0)
    tiny_book.html.mkdir(parents=True)
    (tiny_book.html / "index.html").write_text("the book")
    with server(tiny_book, 0) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        assert serving.server_address[0] == "127.0.0.1"
        address = f"http://127.0.0.1:{serving.server_port}/index.html"
        with urllib.request.urlopen(address) as answer:
            assert answer.read() == b"the book"
        with pytest.raises(InputError, match="is taken"):
            server(tiny_book, serving.server_port)
        serving.shutdown()
