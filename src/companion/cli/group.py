"""How every command ends: refusals and notices in one line each, exit codes that mean something."""

from __future__ import annotations

import ast
import contextlib
import errno
import warnings
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from companion.errors import InputError, RunError

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130
HOME = "companion.cli.commands"
NO_MEMORY = "memory does not suffice: free some, or ask for a smaller run; what is done is kept"
UsageError: Any = typer.BadParameter.__base__  # of click, or of the copy that typer carries
COMMANDS = {
    **dict.fromkeys(("doctor", "chapters", "run", "build", "serve"), "book"),
    **dict.fromkeys(("models", "fetch"), "models"),
    **dict.fromkeys(("probe", "merge"), "probing"),
    **dict.fromkeys(("fit", "plan"), "scaling"),
    **{name: name for name in ("ablate", "toy", "calibrate", "trace", "dynamics", "ladder")},
}
"""The module of `companion.cli.commands` that has each command."""
FORMERLY = {"ship": "export"}
"""Old names of commands, which still work, with the new ones."""


class Group(TyperGroup):
    """Turns refused input and a disk that refuses into one sentence and exit 2, Ctrl-C into 130.

    A run that failed says why, and ends with 1.
    """

    def invoke(self, ctx: Any) -> Any:
        """Run a command; warnings that rooms give become notices on standard error."""
        try:
            with _notices():
                return super().invoke(ctx)
        except InputError as refused:
            _end(f"error: {refused}", BAD_INPUT, refused)
        except RunError as failed:
            _end(f"error: {failed}", FAILED, failed)
        except UsageError as misused:
            _end(f"error: {misused.format_message()}", BAD_INPUT, misused)
        except OSError as failure:
            if failure.errno in (None, errno.EPIPE):
                raise
            where = f": {failure.filename}" if failure.filename else ""
            _end(f"error: {failure.strerror or failure}{where}", BAD_INPUT, failure)
        except (MemoryError, RuntimeError) as failure:
            if not _ran_out(failure):
                raise
            _end(f"error: {NO_MEMORY}", FAILED, failure)
        except Exception as failure:
            if "(os error " not in str(failure):  # of a library in Rust: tokenizers, safetensors
                raise
            _end(f"error: {failure}", BAD_INPUT, failure)
        except KeyboardInterrupt as stopped:
            _end("interrupted", INTERRUPTED, stopped)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name; one that was renamed answers with a notice."""
        known = super().get_command(ctx, cmd_name)
        now = FORMERLY.get(cmd_name)
        if known is not None or now is None:
            return known
        path = ctx.command_path
        typer.echo(f"warning: `{path} {cmd_name}` is called `{path} {now}`", err=True)
        return super().get_command(ctx, now)


class Root(Group):
    """All commands, each with its module imported once it is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        """In the order in which help shows them."""
        return [*super().list_commands(ctx), *COMMANDS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name."""
        if cmd_name in COMMANDS:
            part = typer.Typer(cls=Group, rich_markup_mode=None)
            part.callback()(lambda: None)
            import_module(f"{HOME}.{COMMANDS[cmd_name]}").register(part)
            return typer.main.get_command(part).get_command(ctx, cmd_name)  # type: ignore[attr-defined]
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Names and first sentences, read from the sources: nothing is imported for them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, _summary(name)) for name in COMMANDS])


def _ran_out(failure: Exception) -> bool:
    """Whether memory ran out, as Python or as torch says it."""
    told = str(failure).lower()
    signs = ("allocate memory", "out of memory", "can't start new thread")
    return isinstance(failure, MemoryError) or any(sign in told for sign in signs)


def _summary(command: str) -> str:
    """The first line that a command's function, or else its module, says of itself."""
    found = find_spec(f"{HOME}.{COMMANDS[command]}")
    tree = ast.parse(Path(str(found and found.origin)).read_text("utf-8"))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    return (ast.get_docstring(functions.get(command, tree)) or "").partition("\n")[0]


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
