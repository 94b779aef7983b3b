"""The built book, served to a real browser that may reach nothing else."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator

import pytest

from companion.chapters import Book, discover, server

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


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


@pytest.fixture(scope="session")
def browser() -> Iterator:
    """A headless Chromium; without one the browser tests are skipped, but never in CI."""
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        said = f"no browser here (looked for {', '.join(BROWSERS)}): install Debian's chromium"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(said)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        yield running
        running.close()
