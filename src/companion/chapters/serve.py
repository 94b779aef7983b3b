"""Serve the built book to this machine alone."""

from __future__ import annotations

import errno
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

from companion.chapters.source import Book
from companion.errors import InputError


def server(book: Book, port: int) -> ThreadingHTTPServer:
    """A server of `_build/html` on 127.0.0.1; `port` 0 picks a free one.

    Raises
    ------
    InputError
        If there is no built book, or the port is taken.
    """
    if not (book.html / "index.html").exists():
        raise InputError(f"no built book in {book.html}: run `companion build` first")
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), partial(_Quiet, directory=book.html))
    except OSError as taken:
        if taken.errno in (errno.EADDRINUSE, errno.EACCES):
            raise InputError(f"port {port} is taken or reserved: choose another") from taken
        raise


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass
