"""`companion fit` and `companion plan`: the JSON contract, exit codes, and bad input."""

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

from companion.cli import app
from companion.scaling import Certificate

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


def test_warnings_are_printed(file):
    table = pd.read_csv(file)
    table.assign(D=table["D"] / 1e9).to_csv(file, index=False)
    done = run("fit", file, "--column", "m=d_model", "--method", "jacobian")
    assert done.exit_code == 0
    assert "warning: column D" in done.stdout


def test_a_fit_that_did_not_converge_says_so_and_fails(file, monkeypatch):
    monkeypatch.setattr(Certificate, "reasons", ("the Hessian is not positive",))
    fitted = run("fit", file, "--column", "m=d_model", "--method", "jacobian")
    assert fitted.exit_code == 1
    assert "converged NO" in fitted.stdout
    words = ("plan", file, "--column", "m=d_model", "--flops", 1e20, "--draws", 5)
    planned = run(*words)
    assert planned.exit_code == 1
    assert "warning: the fit did not converge" in planned.stdout


def test_a_usual_name_of_a_column_is_taken_and_told(file):
    done = run("fit", file, "--method", "jacobian", "--draws", 50)
    assert "note: took d_model as m; to be sure, say --column m=d_model" in done.stderr


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
        (("fit", "SPOILED", "--column", "m=d_model"), "column loss must be positive and finite"),
        (("fit", "nowhere.csv"), "neither a file nor one of"),
        (("fit", "UNNAMED"), "missing columns m"),
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
    spoiled = file.with_name("spoiled.csv")
    table = pd.read_csv(file)
    table.assign(loss=-table["loss"]).to_csv(spoiled, index=False)
    unnamed = file.with_name("unnamed.csv")
    table.rename(columns={"d_model": "w"}).to_csv(unnamed, index=False)
    files = {"FILE": file, "SPOILED": spoiled, "UNNAMED": unnamed}
    done = run(*[files.get(word, word) for word in words])
    assert done.exit_code == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
