"""The command `ablate`: figures, a price beforehand, and what it refuses."""

import json

import pytest
import xarray as xr
from typer.testing import CliRunner

from companion.cli import app

MODEL = "ladder:m128-ell2"
SMALL = ["--tokens", "64", "--block-length", "16", "--every", "1", "--kinds", "skip,swap"]


@pytest.fixture
def run():
    return lambda *arguments: CliRunner().invoke(app, ["ablate", *arguments])


def test_the_figures_are_those_of_the_file(run, tmp_path):
    out = tmp_path / "a.nc"
    done = run(MODEL, *SMALL, "--out", str(out), "--json")
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)
    with xr.open_dataset(out, engine="h5netcdf") as stored:
        assert figures["predictions"] == int(stored.tokens.sum()) == 4 * 15
        assert figures["documents"] == stored.sizes["document"]
    assert figures["loss_change"]["swap"][1] is None
    assert len(figures["loss_change"]["skip"]) == figures["ell"] == 2
    again = run(MODEL, *SMALL, "--out", str(out))
    assert again.exit_code == 2
    assert "is there already" in again.stderr
    assert run(MODEL, *SMALL, "--out", str(out), "--overwrite").exit_code == 0


def test_the_price_is_told_and_nothing_written(run, tmp_path):
    out = tmp_path / "a.nc"
    done = run(MODEL, *SMALL, "--out", str(out), "--estimate", "--json")
    assert json.loads(done.stdout)["seconds"] > 0
    assert not out.exists()
    assert "about" in run(MODEL, *SMALL, "--estimate").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give --out FILE.nc, or --estimate"),
        (["--kinds", "delete", "--estimate"], "'delete' is unknown: use one of skip"),
        (["--read-fraction", "0", "--estimate"], "read_fraction 0.0 must be above 0"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_2(run, arguments, message):
    done = run(MODEL, *arguments)
    assert done.exit_code == 2
    assert message in done.stderr
