"""Every command that takes shards gives with them what it gives without."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from benchmarks.faults import prepared
from companion.cli import app
from companion.files import read_netcdf

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def address():
    """Two workers that are threads of this process."""
    quick = {"processes": False, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}
    with distributed.LocalCluster(n_workers=2, **quick) as cluster:
        yield cluster.scheduler_address


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return prepared(tmp_path_factory.mktemp("cases"))


def called(case, folder, *more):
    folder.mkdir()
    words = [word.format(out=folder / case.out) for word in case.words]
    result = CliRunner().invoke(app, [*words, *more])
    assert result.exit_code == 0, result.output
    return folder / case.out


@pytest.mark.parametrize("name", ["probe", "trace", "toy", "dynamics"])
@pytest.mark.parametrize("shards", [2, 5])
def test_a_command_with_shards(name, shards, cases, address, tmp_path):
    case = cases[name]
    whole = read_netcdf(called(case, tmp_path / "whole"))
    dealt = ("--shards", str(shards), "--scheduler", address)
    again = read_netcdf(called(case, tmp_path / "dealt", *dealt))
    assert set(again.variables) == set(whole.variables)
    assert again.sizes == whole.sizes
    for key in whole.variables:
        if name == "probe" and whole[key].dtype.kind == "f":
            np.testing.assert_allclose(again[key], whole[key], rtol=1e-9, atol=1e-12, err_msg=key)
        else:
            np.testing.assert_array_equal(again[key].values, whole[key].values, err_msg=key)


def test_a_ladder_with_shards(cases, address, tmp_path):
    tables = [
        pd.read_csv(called(cases["ladder"], tmp_path / name, *more) / "table.csv")
        for name, more in (("whole", ()), ("dealt", ("--shards", "2", "--scheduler", address)))
    ]
    pd.testing.assert_frame_equal(*tables)


def test_workers_need_shards(cases, tmp_path):
    words = [word.format(out=tmp_path / "a.nc") for word in cases["toy"].words]
    refused = CliRunner().invoke(app, [*words, "--workers", "2"])
    assert refused.exit_code == 2
    assert refused.stderr.endswith("--scheduler and --workers need --shards: say how many\n")
