"""Outputs: one rule for what is there already, one process at a time, whole files only."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import xarray as xr

from companion.errors import InputError
from companion.files import read_netcdf
from companion.runs import Output, claimed

SETTINGS = {"tokens": 640, "corpus": {"name": "python", "sizes": (1, 2)}}
RESULT = xr.Dataset({"theta": ("layer", [0.5, 0.25])})


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "r.nc"


def _finish(path, settings=SETTINGS, **options):
    with Output(path, settings, **options) as out:
        if out.finished is None:
            out.finish(RESULT)
        return out.finished


def _interrupt(path, settings=SETTINGS, **options):
    with Output(path, settings, **options) as out:
        out.kept("a.nc", lambda: RESULT)


def test_a_finished_run_leaves_the_result_alone(path):
    assert _finish(path) is None
    assert list(path.parent.iterdir()) == [path]
    assert read_netcdf(path)["theta"].equals(RESULT["theta"])


def test_what_is_there_is_refused_unless_told_what_to_do(path):
    _finish(path)
    with pytest.raises(InputError, match="is there already: choose another name, or replace it"):
        _finish(path)
    assert _finish(path, resume=True)["theta"].equals(RESULT["theta"])
    with pytest.raises(InputError, match="tokens was 640, now 320"):
        _finish(path, SETTINGS | {"tokens": 320}, resume=True)
    assert _finish(path, SETTINGS | {"tokens": 320}, overwrite=True) is None
    assert _finish(path, SETTINGS | {"tokens": 320}, resume=True) is not None


def test_an_interrupted_run_is_refused_resumed_or_overwritten(path):
    _interrupt(path)
    assert not path.exists()
    with pytest.raises(InputError, match=r"r\.nc\.partial' holds a run: go on with it"):
        _finish(path)
    with pytest.raises(InputError, match=r"corpus\.name was \"python\", now \"prose\""):
        _finish(path, SETTINGS | {"corpus": {"name": "prose", "sizes": (1, 2)}}, resume=True)
    with Output(path, SETTINGS, resume=True) as out:
        assert out.kept("a.nc", lambda: pytest.fail("computed twice")).equals(RESULT)
    with Output(path, SETTINGS, overwrite=True) as out:
        assert not out.part("a.nc").exists()
        out.finish(RESULT)
    assert list(path.parent.iterdir()) == [path]


def test_a_new_run_over_an_old_result_resumes_its_own_parts(path):
    _finish(path)
    other = SETTINGS | {"tokens": 320}
    _interrupt(path, other, overwrite=True)
    assert read_netcdf(path)["theta"].equals(RESULT["theta"])
    with Output(path, other, resume=True) as out:
        assert out.finished is None
        assert out.part("a.nc").exists()


def test_a_run_that_kept_nothing_leaves_nothing(path):
    with pytest.raises(InputError, match="bad"), Output(path, SETTINGS):
        raise InputError("bad")
    assert list(path.parent.iterdir()) == []


def test_without_a_file_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Output(None, SETTINGS) as out:
        assert out.part("a.nc") is None
        assert out.kept("a.nc", lambda: RESULT) is RESULT
        out.finish(RESULT)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="need an output"):
        Output(None, SETTINGS, resume=True)


def test_resume_and_overwrite_exclude_each_other(path):
    with pytest.raises(InputError, match="exclude each other"):
        Output(path, SETTINGS, resume=True, overwrite=True)


def test_two_runs_at_once_are_refused(path):
    with (
        Output(path, SETTINGS),
        pytest.raises(InputError, match="another process is at work"),
        Output(path, SETTINGS, resume=True),
    ):
        pass


def test_a_lock_dies_with_its_process(path):
    code = (
        "import sys, time; from companion.runs import Output\n"
        "with Output(sys.argv[1], {'tokens': 640}) as out:\n"
        "    out.part('a').write_text('kept'); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(InputError, match="another process"), Output(path, {"tokens": 640}):
            pass
        holder.send_signal(signal.SIGKILL)
    with Output(path, {"tokens": 640}, resume=True) as out:
        assert out.part("a").read_text() == "kept"


def test_a_folder_that_is_of_no_run_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    for options in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(InputError, match="of no run"), claimed(tmp_path, {}, **options):
            pass
    assert (tmp_path / "mine.txt").read_text() == "precious"


def test_a_folder_output_keeps_its_record_under_a_name_of_its_own(tmp_path):
    folder = tmp_path / "ladder"
    with claimed(folder, {"widths": [8], "budget": float("inf")}, record="grid.json") as place:
        (place / "model").mkdir()
    assert json.loads((folder / "grid.json").read_text())["widths"] == [8]
    with claimed(folder, {"widths": [8], "budget": float("inf")}, record="grid.json", resume=True):
        pass
    with (
        pytest.raises(InputError, match=r"widths was \[8\], now \[9\]"),
        claimed(folder, {"widths": [9]}, record="grid.json", resume=True),
    ):
        pass
    with claimed(folder, {"widths": [9]}, record="grid.json", overwrite=True) as place:
        assert not (place / "model").exists()
        (place / "model").mkdir()


def test_a_damaged_or_missing_file_is_one_sentence(path):
    with pytest.raises(InputError, match="does not exist"):
        read_netcdf(path)
    path.write_bytes(b"torn")
    with pytest.raises(InputError, match="no readable NetCDF file"):
        _finish(path, resume=True)


def test_a_process_killed_while_it_wrote_its_settings_leaves_a_place_to_go_on(path):
    folder = path.with_name("r.nc.partial")
    folder.mkdir()
    (folder / ".settings.json.x1y2.json").write_text("{")
    _finish(path, resume=True)
    assert list(path.parent.iterdir()) == [path]
