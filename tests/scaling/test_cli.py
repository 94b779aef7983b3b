"""`companion fit` and `companion plan`: the JSON contract, exit codes, and bad input."""

import json

import pytest
from typer.testing import CliRunner

from companion.cli import app

PARAMETERS = ["c_m", "alpha_m", "c_ell", "alpha_ell", "c_D", "alpha_D", "L_0"]


def run(*words):
    return CliRunner().invoke(app, list(map(str, words)))


@pytest.fixture
def file(planted, tmp_path):
    path = tmp_path / "runs.csv"
    planted.rename(columns={"m": "d_model"}).to_csv(path, index=False)
    return path


def test_fit_prints_the_agreed_json(file):
    done = run("fit", file, "--column", "m=d_model", "--draws", 50, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert {"law", "n", "objective", "converged", "params"} <= set(found)
    assert list(found["params"]) == PARAMETERS
    depth = found["params"]["alpha_ell"]
    assert {"estimate", "se", "ci95"} <= set(depth)
    assert {"jacobian", "bootstrap", "jackknife"} <= set(depth["se"])
    for method in ("profile", "bootstrap", "bootstrap_shape", "jacobian"):
        low, high = depth["ci95"][method]
        assert low < depth["estimate"] < high


def test_fit_prints_plain_lines(file):
    done = run("fit", file, "--column", "m=d_model", "--method", "jacobian")
    assert done.exit_code == 0
    assert "alpha_ell = " in done.stdout
    assert "starts agree" in done.stdout


def test_plan_keeps_the_budget(file):
    words = ("plan", file, "--column", "m=d_model", "--flops", 1e20, "--parameters", 1e9)
    done = run(*words, "--draws", 20, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["N"] <= 1e9
    assert found["flops"] <= 1.0001e20
    assert "twice the depth" in run(*words, "--draws", 20).stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("fit", "nowhere.csv"), "neither a file nor one of"),
        (("fit", "FILE"), "missing columns m"),
        (("fit", "FILE", "--column", "m"), "must read like"),
        (("fit", "FILE", "--column", "m=width"), "no column width"),
        (("fit", "FILE", "--law", "cubic"), "law 'cubic' is unknown"),
        (("fit", "FILE", "--column", "m=d_model", "--huber", "-1"), "must be 0"),
        (("fit", "FILE", "--column", "m=d_model", "--drop-highest", "900"), "cannot drop"),
        (("fit", "FILE", "--column", "m=d_model", "--method", "magic"), "method 'magic'"),
        (("plan", "FILE", "--column", "m=d_model"), "flops or tokens"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_2(file, words, said):
    done = run(*[file if word == "FILE" else word for word in words])
    assert done.exit_code == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
