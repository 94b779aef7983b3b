"""Work on two Dask workers: one is killed, and the numbers are those of one process."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from transformers import LlamaConfig, LlamaForCausalLM

from companion import probing
from companion.errors import InputError, RunError
from companion.models import loaded_once
from companion.runs import Output, silent
from companion.runs.shards import connected, reduced
from companion.runs.tree import FAN, Tree
from companion.runtime import Runtime

pytest.importorskip("distributed")
RUNTIME = Runtime("cpu", "float32", "test")


@pytest.fixture(scope="module")
def client():
    with connected("local", 2) as client:
        yield client


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3}
    config = LlamaConfig(vocab_size=96, num_attention_heads=4, num_key_value_heads=2, **sizes)
    LlamaForCausalLM(config).save_pretrained(path)
    return str(path)


@pytest.fixture(scope="module")
def tokens():
    return torch.randint(0, 96, (24, 16), generator=torch.Generator().manual_seed(1))


class Killer:
    """A progress callback that kills a worker once some of the work is done."""

    def __init__(self, client, after=1):
        self.client, self.after, self.reports, self.killed = client, after, [], None

    def __call__(self, done, total, /, note="", task=""):
        self.reports.append((done, total))
        if self.killed is None and done >= self.after:
            busy = [worker for worker, keys in self.client.processing().items() if keys]
            self.killed = self.client.run(os.getpid, workers=busy[:1])[busy[0]]
            os.kill(self.killed, signal.SIGKILL)


def test_a_killed_worker_changes_no_number(client, folder, tokens, tmp_path):
    how = {"batch_size": 1, "runtime": RUNTIME}
    whole = probing.probe(folder, tokens, **how)
    killer, out = Killer(client), tmp_path / "a.nc"
    result = probing.probe(folder, tokens, client=client, shards=6, out=out, progress=killer, **how)
    assert killer.killed not in client.run(os.getpid).values()
    assert killer.reports[-1] == (6, 6)
    for name in result.data_vars:
        np.testing.assert_allclose(result[name], whole[name], rtol=1e-9, atol=1e-12, err_msg=name)
    assert np.array_equal(result.state_histogram, whole.state_histogram)
    assert result.attrs["tokens"] == tokens.numel()
    assert [path.name for path in tmp_path.iterdir()] == ["a.nc"]
    with pytest.warns(UserWarning, match="complete"):
        again = probing.probe(folder, tokens, client=client, shards=6, out=out, resume=True, **how)
    xr.testing.assert_identical(again, result)


def test_by_default_a_shard_for_each_worker(client, folder, tokens):
    result = probing.probe(folder, tokens, client=client, runtime=RUNTIME, lens="none")
    assert json.loads(result.attrs["shards"]) == ["0/2", "1/2"]


def test_a_worker_loads_a_model_once(folder):
    assert loaded_once(folder, RUNTIME) is loaded_once(folder, RUNTIME)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"shard": "1/2"}, "shard 1/2 cannot be cut"),
        ({"until_sem": {"norm": 0.1}}, "until_sem stops"),
        ({"shards": 100}, "has no block: there are only 24"),
        ({"sink_ratio": 0.5}, "sink_ratio"),
    ],
)
def test_refusals_cross_from_the_workers(client, folder, tokens, settings, said):
    with pytest.raises(InputError, match=said):
        probing.probe(folder, tokens, client=client, runtime=RUNTIME, **{"shards": 2, **settings})


def test_a_model_in_memory_stays_there(client, tokens):
    with pytest.raises(InputError, match="workers load a model by its name"):
        probing.probe(object(), tokens, client=client)


def test_no_scheduler_answers():
    with (
        pytest.raises(InputError, match=r"no scheduler answers at 'tcp://127\.0\.0\.1:9'"),
        connected("tcp://127.0.0.1:9"),
    ):
        pass


@pytest.fixture
def running(tmp_path):
    """A scheduler and a worker started from the command line: address, process of the scheduler."""
    file = tmp_path / "scheduler.json"
    words = ["--scheduler-file", str(file), "--dashboard-address", ":0"]
    script = Path(sys.executable).with_name("dask")
    scheduler = subprocess.Popen(
        [script, "scheduler", "--port", "0", "--host", "127.0.0.1", *words]
    )
    worker = subprocess.Popen([script, "worker", "--nthreads", "1", *words])
    until = time.monotonic() + 60
    while not file.exists() and time.monotonic() < until:
        time.sleep(0.1)
    yield json.loads(file.read_text())["address"], scheduler
    for process in (worker, scheduler):
        process.kill()
        process.wait()


def numbers():
    """A task whose result is a number that its shard draws, in its time."""

    def task(seconds, shard, report):
        time.sleep(seconds)
        report(1, 1)
        return xr.Dataset({"x": np.random.default_rng(int(shard.split("/")[0])).random()})

    return task


def add(client, output, progress=silent, shards=20):
    return reduced(client, numbers(), (0.1,), shards, merged, output, progress)


def test_a_scheduler_that_dies_leaves_what_is_finished(client, running, tmp_path):
    address, scheduler = running
    out = tmp_path / "a.nc"

    def stop(done, total, /, note="", task=""):
        if done >= 9:
            scheduler.kill()

    with (
        pytest.raises(RunError, match=r"the scheduler is gone: .* go on with --resume"),
        connected(address) as lent,
        Output(out, {}) as output,
    ):
        add(lent, output, stop)
    kept = sorted(path.name for path in (tmp_path / "a.nc.partial").glob("*.nc"))
    assert kept[-1].startswith("shards-1-"), "some were merged"
    reports = []
    with Output(out, {}, resume=True) as output:
        resumed = add(client, output, lambda done, *_, **__: reports.append(done))
    assert reports[0] >= 7
    assert reports[-1] == 20
    xr.testing.assert_identical(resumed, add(client, Output(None, {})))


def merged(parts):
    return xr.Dataset({"x": sum(p.x for p in parts)})


@pytest.mark.parametrize("leaves", [1, FAN, FAN + 1, 3 * FAN + 3])
@pytest.mark.parametrize("kept", [True, False])
def test_a_tree_gives_the_same_bits_in_any_order(leaves, kept, tmp_path):
    values = np.random.default_rng(0).standard_normal(leaves)
    found = []
    for seed in range(3):
        output = Output(tmp_path / f"{seed}.nc" if kept else None, {})
        tree = Tree(leaves, merged, output)
        order = np.random.default_rng(seed).permutation(tree.missing())
        for leaf in order[: leaves // 2]:
            tree.add(int(leaf), xr.Dataset({"x": values[leaf]}))
        if kept:
            tree = Tree(leaves, merged, output)
        for leaf in tree.missing() if kept else order[leaves // 2 :]:
            tree.add(int(leaf), xr.Dataset({"x": values[leaf]}))
        assert not tree.missing()
        found.append(float(tree.root().x))
        if kept:
            assert len(list((tmp_path / f"{seed}.nc.partial").iterdir())) == 1
    assert found[0] == pytest.approx(values.sum(), rel=1e-12)
    assert len(set(found)) == 1
