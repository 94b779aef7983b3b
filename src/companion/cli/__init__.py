"""The `companion` command: a thin shell over the rooms.

Floor 6. `commands` has them, a module each; `settings` makes options of settings, `progress` shows
how far a run is, `group` ends a command in one sentence. A command's module, and the room behind
it, are imported when it is called, so that `companion --help` is quick.
"""

from __future__ import annotations

import signal

import typer

from companion.cli.group import Group, Root

__all__ = ["Group", "app", "main"]

app = typer.Typer(
    name="companion",
    cls=Root,
    help="Run, rebuild and extend the companion to inverse depth scaling.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def _commands_are_found_by_name() -> None:
    pass


def main() -> None:
    """Run the command line; SIGTERM (of `timeout`, of a batch system) ends it as Ctrl-C does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    app()
