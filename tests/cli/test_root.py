"""The command line as a whole: help everywhere, quick to start, exit codes that mean something."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from companion.cli import app
from companion.errors import InputError

COMMANDS = [
    "doctor",
    "chapters",
    "run",
    "build",
    "serve",
    "probe",
    "merge",
    "fit",
    "toy",
    "trace",
    "dynamics",
    "ladder",
    "ablate",
    "models",
    "fetch",
]


def test_every_command_of_the_contract_is_there():
    said = CliRunner().invoke(app, ["--help"]).output
    assert [name for name in COMMANDS if f"\n  {name} " not in said] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command):
    answer = CliRunner().invoke(app, [command, "--help"])
    assert answer.exit_code == 0
    assert "Usage:" in answer.output


@pytest.mark.parametrize("given", [["nonsense"], ["run"], ["serve", "--port", "x"]])
def test_misuse_is_exit_code_2(given):
    assert CliRunner().invoke(app, given).exit_code == 2


@pytest.mark.parametrize(
    ("failure", "code", "said"),
    [
        (InputError("no such thing"), 2, "error: no such thing\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_refusals_and_interrupts_are_said_in_one_line(failure, code, said):
    trial = typer.Typer(cls=type(typer.main.get_command(app)))

    def act() -> None:
        raise failure

    trial.command()(act)
    trial.callback()(lambda: None)
    answer = CliRunner().invoke(trial, ["act"])
    assert answer.exit_code == code
    assert answer.stderr == said


def test_the_command_line_starts_without_the_heavy_packages():
    code = (
        "import sys; from companion.cli import app; "
        "heavy = {'torch', 'transformers', 'matplotlib', 'scipy', 'pandas', 'xarray'}; "
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
