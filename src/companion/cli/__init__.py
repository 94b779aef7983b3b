"""The `companion` command: a thin shell over the rooms.

Floor 5. Each module of this package registers its own commands; heavy imports wait until a
command runs, so that `companion --help` is quick.
"""

from __future__ import annotations

import errno
import sys
from importlib import import_module

import typer
from typer.core import TyperGroup

from companion.errors import InputError

COMMANDS = ("book", "probing", "scaling", "toy", "trace", "ablate", "dynamics", "ladder")
BAD_INPUT, INTERRUPTED = 2, 130


class _Group(TyperGroup):
    """Turns refused input and a disk that refuses into one sentence and exit 2, Ctrl-C into 130."""

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except InputError as refused:
            print(f"error: {refused}", file=sys.stderr)
            raise typer.Exit(BAD_INPUT) from refused
        except OSError as failure:
            if failure.errno in (None, errno.EPIPE):
                raise
            where = f": {failure.filename}" if failure.filename else ""
            print(f"error: {failure.strerror or failure}{where}", file=sys.stderr)
            raise typer.Exit(BAD_INPUT) from failure
        except KeyboardInterrupt as stopped:
            print("interrupted", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from stopped


app = typer.Typer(
    name="companion",
    cls=_Group,
    help="Run, rebuild and extend the companion to inverse depth scaling.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


for _name in COMMANDS:
    import_module(f"companion.cli.{_name}").register(app)


def main() -> None:
    """Run the command line."""
    app()
