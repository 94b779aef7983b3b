"""The `companion` command: a thin shell over the rooms.

Floor 5. Each module of this package registers its own commands; heavy imports wait until a
command runs, so that `companion --help` is quick.
"""

from __future__ import annotations

import sys
from importlib import import_module

import typer

from companion.runtime import InputError

COMMANDS = ("book", "probing", "scaling", "toy", "trace", "ladder")
BAD_INPUT, INTERRUPTED = 2, 130

app = typer.Typer(
    name="companion",
    help="Run, rebuild and extend the companion to inverse depth scaling.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _register() -> None:
    for name in COMMANDS:
        try:
            module = import_module(f"companion.cli.{name}")
        except ModuleNotFoundError as missing:
            if missing.name != f"companion.cli.{name}":
                raise
            continue
        module.register(app)


def main() -> None:
    """Run the command line; bad input ends with one sentence and exit code 2."""
    _register()
    try:
        app()
    except InputError as refused:
        print(f"error: {refused}", file=sys.stderr)
        sys.exit(BAD_INPUT)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
