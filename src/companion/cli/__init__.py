"""The `companion` command: a thin shell over the rooms.

Floor 6. Each module of this package registers its own commands; heavy imports wait until a
command runs, so that `companion --help` is quick.
"""

from __future__ import annotations

from importlib import import_module

import typer

from companion.cli.group import Group

COMMANDS = (
    *("book", "models", "probing", "scaling", "toy", "trace", "dynamics", "ladder"),
    "calibrate",
)

app = typer.Typer(
    name="companion",
    cls=Group,
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
