"""Devices are checked, seeds repeat, stamps are complete, files are never half-written."""

import errno
import json
import subprocess
import sys

import pytest
import torch

from companion import runtime
from companion.errors import InputError
from companion.files import atomic, stored, write_json
from companion.provenance import provenance
from companion.runtime import Runtime, check_memory, free_memory, hub_reachable


def test_auto_follows_the_hardware():
    runtime = Runtime.choose()
    expected = "cuda" if torch.cuda.is_available() else runtime.device
    assert runtime.device == expected
    assert runtime.dtype in runtime.reason


@pytest.mark.parametrize("device", ["cuda:99", "warp", "cpu:7"])
def test_absent_devices_are_refused(device):
    with pytest.raises(InputError, match=device):
        Runtime.choose(device)


def test_unknown_dtype_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match=r"int8.*bfloat16"):
        Runtime.choose("cpu", "int8")


def test_generators_repeat_and_differ_by_stream_and_seed():
    def draws(seed, stream):
        runtime = Runtime.choose("cpu", seed=seed)
        numbers = torch.rand(3, generator=runtime.torch_generator(stream))
        return [*numbers.tolist(), *runtime.numpy_generator(stream).random(3)]

    assert draws(1, 2) == draws(1, 2)
    assert draws(1, 2) != draws(1, 3)
    assert draws(1, 2) != draws(2, 2)


def test_provenance_is_complete_plain_json_without_paths():
    stamp = provenance(Runtime.choose("cpu"), {"model": "tiny"}, note="x")
    text = json.dumps(stamp)
    assert {"parameters", "device", "versions", "commit", "time", "note"} <= set(stamp)
    assert "/home" not in text
    assert stamp["versions"]["torch"] == torch.__version__.split("+")[0] or "+" in text
    assert "tiny" in stamp._repr_mimebundle_()["text/html"]


def test_json_is_whole_or_the_old_one(tmp_path):
    path = tmp_path / "new" / "record.json"
    write_json(path, {"loss": None, "steps": [1, 2]})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"loss": float("nan")})
    assert json.loads(path.read_text()) == {"loss": None, "steps": [1, 2]}
    assert [file.name for file in path.parent.iterdir()] == ["record.json"]


def test_atomic_keeps_the_old_file_when_the_writer_fails(tmp_path):
    path = tmp_path / "a.json"
    with atomic(path) as temporary:
        temporary.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic(path) as temporary:
        temporary.write_text("ne" * (1 // 0))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_stored_results_are_found_or_missed_by_name(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_RESULTS", str(tmp_path))
    (tmp_path / "a.json").write_text("{}")
    assert stored("a.json").read_text() == "{}"
    with pytest.raises(InputError, match=r"b\.json"):
        stored("b.json")


def test_hub_is_unreachable_at_once_in_offline_mode(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert not hub_reachable()
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert not hub_reachable(timeout=1)


FULL = """
import resource, sys
import xarray as xr
from companion.files import write_netcdf
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    write_netcdf(xr.Dataset({"x": ("n", [0.0] * 9999)}), sys.argv[1])
except OSError as failure:
    print(failure.errno)
"""


def test_a_full_disk_is_an_error_and_no_crash(tmp_path):
    command = [sys.executable, "-c", FULL, str(tmp_path / "x.nc")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, str(errno.EFBIG))
    assert not list(tmp_path.iterdir())


def test_what_does_not_fit_is_refused_with_what_it_needs():
    free = free_memory()
    assert 0 < free < 2**50
    check_memory(free // 2, "this")
    with pytest.raises(InputError, match=r"loading 'x' needs \d+\.\d GB of memory, .* free on cpu"):
        check_memory(1000 * free, "loading 'x'")


def test_limits_of_the_control_group_and_of_the_address_space_count(tmp_path):
    (tmp_path / "memory.max").write_text("5000\n")
    (tmp_path / "memory.current").write_text("2000\n")
    assert runtime._group_headroom(str(tmp_path)) == [3000]
    (tmp_path / "memory.max").write_text("max\n")
    assert runtime._group_headroom(str(tmp_path)) == []
    assert runtime._group_headroom(str(tmp_path / "none")) == []
    code = (
        "import resource, torch; from companion.runtime import free_memory;"
        "resource.setrlimit(resource.RLIMIT_AS, (40 << 30, 40 << 30)); print(free_memory())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) <= 40 << 30
