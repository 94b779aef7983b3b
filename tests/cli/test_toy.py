"""`companion toy`: figures, files and resumption; one sentence and exit 2 for bad input."""

import errno
import json

import pytest
import yaml
from typer.testing import CliRunner

from companion.cli import app
from companion.toy import load, named


@pytest.fixture
def file(tmp_path):
    record = {"name": "s", "rho": [0.0], "teachers": 2, "teacher_depth": 3, "depths": [1, 2, 3, 4]}
    record |= {"width": 6, "vocabulary": 5, "batch": 8, "steps": 4, "test_batches": 1, "times": 3}
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump(record))
    return path


def run(*arguments):
    return CliRunner().invoke(app, ["toy", *map(str, arguments)])


def test_list():
    done = run("--list")
    assert done.exit_code == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == named()


def test_trains_writes_and_prints_json(file, tmp_path):
    done = run(file, "--out", tmp_path / "r.nc", "--device", "cpu", "-s", "steps=3", "--json")
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)
    assert figures["diverged"] == {}
    assert {"rho", "temperature", "alpha", "alpha_low"} <= set(figures["exponents"][0])
    result = load(tmp_path / "r.nc")
    assert int(result["step"].max()) == 3
    assert not list(tmp_path.glob("*.partial"))


def test_text_is_a_table(file, tmp_path):
    done = run(file, "--out", tmp_path / "r.nc", "--device", "cpu")
    assert done.exit_code == 0
    assert "exponent, with floor" in done.stdout


BAD = {
    "needs a specification and --out": ("regimes",),
    "no specification 'nothing'": ("nothing", "--out", "x.nc"),
    "did you mean 'depths'": ("regimes", "--out", "x.nc", "-s", "depth=[1]"),
    "must read like KEY=VALUE": ("regimes", "--out", "x.nc", "-s", "depths"),
    "is not YAML": ("regimes", "--out", "x.nc", "-s", "steps=[1"),
    "must end in .nc": ("regimes", "--out", "x"),
    "cannot be written": ("regimes", "--out", "/dev/null/x.nc"),
    "rho 2": ("regimes", "--out", "x.nc", "-s", "rho=[2]"),
    "--rates 'fast' must be numbers": (
        "regimes",
        "--out",
        "x.nc",
        "--variants",
        "gated",
        "--rates",
        "fast",
    ),
    "one rho and one temperature": ("regimes", "--out", "x.nc", "--variants", "gated"),
    "device 'cuda:99' is not on this machine": ("regimes", "--out", "x.nc", "--device", "cuda:99"),
    "CUDA graphs need": ("regimes", "--out", "x.nc", "--device", "cpu", "--graph"),
    "--graph is for one run": ("regimes", "--out", "x.nc", "--graph", "--variants", "gated"),
    "device 'tpu9'": ("regimes", "--out", "x.nc", "--device", "tpu9"),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input(message):
    done = run(*BAD[message])
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_disk_that_refuses_is_one_sentence(file, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "r.nc"))

    monkeypatch.setattr("companion.runs.output.write_netcdf", full)
    done = run(file, "--out", tmp_path / "r.nc", "--device", "cpu")
    assert done.exit_code == 2
    assert done.stderr.splitlines()[-1].startswith("error: No space left on device: ")


def test_what_is_there_needs_resume_or_overwrite(file, tmp_path):
    options = (file, "--out", tmp_path / "r.nc", "--device", "cpu")
    assert run(*options).exit_code == 0
    refused = run(*options)
    assert refused.exit_code == 2
    assert "--overwrite" in refused.stderr
    assert run(*options, "--resume").exit_code == run(*options, "--overwrite").exit_code == 0
    other = run(*options, "--resume", "-s", "steps=3")
    assert other.exit_code == 2
    assert "steps was 4, now 3" in other.stderr


def test_diverged_students_are_counted_by_depth(file, tmp_path):
    done = run(file, "--out", tmp_path / "r.nc", "--device", "cpu", "-s", "lr=1e30")
    assert done.exit_code == 0, done.output
    assert "depth 4: 2 students diverged" in done.stdout


def test_variants_are_compared_and_their_parts_removed(file, tmp_path):
    options = ("--device", "cpu", "-s", "temperatures=[1.0]", "--variants", "gated")
    done = run(file, "--out", tmp_path / "r.nc", *options, "--rates", "1")
    assert done.exit_code == 0, done.output
    assert [line.split()[0] for line in done.stdout.splitlines()[2:]] == ["euler", "gated"]
    assert load(tmp_path / "r.nc")["loss"].sizes["block"] == 2
    assert not list(tmp_path.glob("*.partial"))
    refused = run(file, "--out", tmp_path / "r.nc", *options)
    assert refused.exit_code == 2
    assert "is there already" in refused.stderr
    figures = run(file, "--out", tmp_path / "r.nc", *options, "--rates", "1", "--resume", "--json")
    assert json.loads(figures.stdout)["measurements"][0]["name"].startswith("exponent of gated")
