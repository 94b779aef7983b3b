"""The built book, served to a real browser that may reach nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from companion.chapters import Book, discover, server


@pytest.fixture(scope="session")
def built() -> Book:
    """The book of this checkout with its pages."""
    book = Book.here()
    if not (book.html / "index.html").exists():
        pytest.fail("the book is not built: run `make book` first", pytrace=False)
    return book


@pytest.fixture(scope="session")
def chapters(built: Book) -> set[str]:
    """The names of the chapters."""
    return {chapter.name for chapter in discover(built)}


@pytest.fixture(scope="session")
def address(built: Book) -> Iterator[str]:
    """Where the built book is served, on this machine."""
    with server(built, 0) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()
