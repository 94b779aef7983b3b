"""How every command ends: refusals and notices in one line each, exit codes that mean something."""

from __future__ import annotations

import contextlib
import errno
import warnings
from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperGroup

from companion.errors import InputError

BAD_INPUT, INTERRUPTED = 2, 130
UsageError: Any = typer.BadParameter.__base__  # of click, or of the copy that typer carries
FORMERLY = {"ship": "export"}


class Group(TyperGroup):
    """Turns refused input and a disk that refuses into one sentence and exit 2, Ctrl-C into 130."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command; warnings that rooms give become notices on standard error."""
        try:
            with _notices():
                return super().invoke(ctx)
        except InputError as refused:
            _end(f"error: {refused}", BAD_INPUT, refused)
        except UsageError as misused:
            _end(f"error: {misused.format_message()}", BAD_INPUT, misused)
        except OSError as failure:
            if failure.errno in (None, errno.EPIPE):
                raise
            where = f": {failure.filename}" if failure.filename else ""
            _end(f"error: {failure.strerror or failure}{where}", BAD_INPUT, failure)
        except KeyboardInterrupt as stopped:
            _end("interrupted", INTERRUPTED, stopped)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name; one that was renamed answers with a notice."""
        known = super().get_command(ctx, cmd_name)
        now = FORMERLY.get(cmd_name)
        if known is not None or now is None:
            return known
        typer.echo(f"note: `{cmd_name}` is now `{now}`", err=True)
        return super().get_command(ctx, now)


def _end(said: str, code: int, because: BaseException) -> None:
    typer.echo(said, err=True)
    raise typer.Exit(code) from because


@contextlib.contextmanager
def _notices() -> Iterator[None]:
    """What a room has to tell (a complete file, smaller batches), one plain line each."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = lambda message, *_: typer.echo(f"note: {message}", err=True)
        yield
