"""A settings class is a command's options: same names, defaults, ranges and refusals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import pytest
import typer
from pydantic import Field
from typer.testing import CliRunner

from companion.cli import Group
from companion.cli.options import pairs
from companion.cli.settings import described, expanded
from companion.errors import InputError
from companion.settings import Distinct, Number, Whole, settings


@settings("walk")
class Walk:
    """How to walk.

    Parameters
    ----------
    place : str
        Where to.
    steps, pauses : int
        How many, at most a hundred, and never
        fewer than one.
    gait : str
        In which way.
    loads : tuple of float
        What is carried.
    targets : mapping
        When to stop.
    loud : bool
        With a song.
    """

    place: str
    steps: Annotated[Whole, Field(ge=1, le=100)] = 3
    pauses: Annotated[Whole, Field(ge=0)] | None = None
    gait: Literal["slow", "fast"] = "slow"
    loads: Distinct[Annotated[Number, Field(gt=0)]] = (0.5, 1.0)
    targets: Mapping[str, Annotated[Number, Field(gt=0)]] = Field(default_factory=dict)
    loud: bool = False


@pytest.fixture
def run():
    app = typer.Typer(cls=Group, rich_markup_mode=None)
    app.callback()(lambda: None)

    @app.command()
    @expanded
    def walk(
        who: Annotated[str, typer.Argument(help="Who walks.")],
        how: Walk,
        far: Annotated[bool, typer.Option("--far", help="To the end.")] = False,
    ) -> None:
        """Go for a walk."""
        typer.echo(f"{who} {far} {how}")

    return lambda *words: CliRunner().invoke(app, ["walk", *words])


def test_defaults_are_those_of_the_class(run):
    assert run("ann", "--place", "home").stdout == f"ann False {Walk('home')}\n"


def test_every_kind_of_field_can_be_given(run):
    words = ["--place", "home", "--steps", "7", "--pauses", "0", "--gait", "fast", "--loud"]
    words += ["--loads", "1,2.5", "--targets", "theta=1e-2", "--targets", "norm=3", "--far"]
    given = Walk("home", 7, 0, "fast", (1.0, 2.5), {"theta": 0.01, "norm": 3.0}, True)
    assert run("ann", *words).stdout == f"ann True {given}\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--steps", "0"], "steps 0 must be between 1 and 100, whole"),
        (["--gait", "odd"], "gait 'odd' must be one of slow, fast"),
        (["--loads", "1,1"], "must differ from one another"),
        (["--targets", "theta"], "--targets 'theta' must read like name=value"),
        (["--targets", "theta=-1"], "targets"),
        (["--steps", "x"], "Invalid value for '--steps': "),
        (["--stpes", "1"], "No such option: --stpes"),
    ],
)
def test_what_will_not_do_is_one_sentence_and_exit_2(run, words, sentence):
    answer = run("ann", "--place", "home", *words)
    assert answer.exit_code == 2
    assert answer.stderr.startswith("error: ")
    assert sentence in answer.stderr
    assert answer.stderr.count("\n") == 1


def test_help_says_what_the_docstring_and_the_ranges_say(run):
    said = " ".join(run("--help").output.split())
    assert "How many, at most a hundred, and never fewer than one. (between 1 and 100" in said
    assert "In which way. (one of slow, fast)" in said
    assert "Go for a walk." in said
    assert described(Walk)["pauses"] == described(Walk)["steps"]


def test_what_is_required_is_asked_for(run):
    assert "Missing option '--place'" in run("ann").stderr


def test_pairs_are_read_once_and_refused_alike():
    assert pairs(None, "-p", "n=1") == {}
    assert pairs(["a=1", "b=c=d"], "-p", "n=1") == {"a": "1", "b": "c=d"}
    for text in ("a", "=1"):
        with pytest.raises(InputError, match="must read like n=1"):
            pairs([text], "-p", "n=1")
