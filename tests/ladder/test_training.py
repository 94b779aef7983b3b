"""Training learns, resumes bit for bit, survives divergence, and refuses to mix grids."""

import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from companion.errors import InputError
from companion.ladder import runner, text
from companion.ladder.graphs import PLAIN_STEPS, GraphedTrainer
from companion.ladder.grid import Grid
from companion.ladder.model import build, flops_per_token, initial_std, logits
from companion.ladder.trainer import STRETCH, Trainer, schedule, shuffled
from companion.runtime import Runtime
from companion.settings import to_record
from companion.statistics.intervals import Interval


class Killed(BaseException):
    """Stands for kill -9: nothing in the code under test catches it."""


def killer(after):
    calls = iter(range(after))

    def progress(*_, **__):
        if next(calls, None) is None:
            raise Killed

    return progress


def final_weights(folder, grid):
    paths = [folder / run.name / f"D{D}.safetensors" for run in grid.runs() for D in grid.tokens]
    return [load_file(path) for path in paths]


def test_training_beats_its_baselines_and_writes_everything(grid, tmp_path, runtime):
    table = runner.train(grid, tmp_path / "out", runtime)
    stamp = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert len(table) == 4
    assert (table["status"] == "ok").all()
    assert (table["loss"] < math.log(grid.vocabulary)).all()
    assert table.groupby("ell")["loss"].apply(lambda loss: loss.is_monotonic_decreasing).all()
    assert set(stamp["baselines"]) == {"unigram", "bigram"}
    assert stamp["corpus"]["train"]["tokens"] == 4096


@pytest.mark.parametrize("after", [3, 30, 52])
def test_a_killed_training_continues_to_the_same_bits(grid, tmp_path, runtime, after, monkeypatch):
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    runner.train(grid, whole, runtime)
    monkeypatch.setattr("companion.ladder.trainer.CHECKPOINT_SECONDS", 0.01)
    with pytest.raises(Killed):
        runner.train(grid, pieces, runtime, progress=killer(after))
    runner.train(grid, pieces, runtime, resume=True)
    for a, b in zip(final_weights(whole, grid), final_weights(pieces, grid), strict=True):
        assert a.keys() == b.keys()
        assert all(torch.equal(a[key], b[key]) for key in a)
    assert (whole / "table.csv").read_text() == (pieces / "table.csv").read_text()
    logs = [f"{run.name}/trunk.jsonl" for run in grid.runs()]
    assert all((whole / log).read_text() == (pieces / log).read_text() for log in logs)


CHILD = """
import json, sys
from companion.ladder import runner, trainer
from companion.ladder.graphs import PLAIN_STEPS, GraphedTrainer
from companion.ladder.grid import Grid
from companion.runtime import Runtime
trainer.CHECKPOINT_SECONDS = 0.01
grid = Grid(**json.loads(sys.argv[1]))
told = lambda *done, **more: print(*done, more, flush=True)
runner.train(grid, sys.argv[2], Runtime.choose("cpu", "float32"), resume=True, progress=told)
"""


@pytest.mark.slow
def test_kill_9_loses_nothing(grid, tmp_path, runtime):
    """Twice in a row, the second time soon after the start, when old logs are taken over."""
    short = dataclasses.replace(grid, depths=(2,))
    command = [sys.executable, "-c", CHILD, json.dumps(to_record(short)), str(tmp_path / "killed")]
    for steps in (20, 1):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            for _ in range(steps):
                child.stdout.readline()
            child.kill()
    runner.train(short, tmp_path / "killed", runtime, resume=True)
    runner.train(short, tmp_path / "whole", runtime)
    run = short.runs()[0].name
    for name in (f"{run}/trunk.jsonl", f"{run}/D4096.jsonl", "table.csv"):
        assert (tmp_path / "killed" / name).read_text() == (tmp_path / "whole" / name).read_text()


def test_runs_at_the_same_time_give_the_same_table(grid, tmp_path, runtime):
    seen = []
    short = dataclasses.replace(grid, tokens=(2048,))
    alone = runner.train(short, tmp_path / "alone", runtime)
    torch.set_num_threads(1)
    together = runner.train(
        short,
        tmp_path / "together",
        runtime,
        jobs=2,
        progress=lambda *_, task, **__: seen.append(task),
    )
    assert together.drop(columns="loss_sem").equals(alone.drop(columns="loss_sem"))
    assert len(set(seen)) == 2
    with pytest.raises(InputError, match="0 jobs"):
        runner.train(short, tmp_path / "none", runtime, jobs=0)


def test_exported_weights_are_the_rounded_masters(grid, tmp_path, runtime):
    runner.train(grid, tmp_path / "out", runtime)
    run = grid.runs()[0]
    folder = tmp_path / "out" / run.name
    masters = load_file(folder / "D4096.safetensors")
    stored = load_file(folder / "D4096" / "model.safetensors")
    for name, weight in stored.items():
        assert torch.equal(weight, masters[f"weight/{name}"].to(torch.bfloat16))


def test_a_diverged_run_is_reported_and_the_others_go_on(grid, tmp_path, runtime):
    wild = dataclasses.replace(grid, depths=(1,), learning_rates=(4e-3, 1e18), clip=1e30)
    table = runner.train(wild, tmp_path / "out", runtime).set_index("learning_rate")
    assert (table.loc[4e-3, "status"] == "ok").all()
    assert table.loc[1e18, "status"].str.contains("loss").all()
    assert table.loc[1e18, "loss"].isna().all()


def test_an_estimate_counts_every_step_of_every_run(grid, runtime, monkeypatch):
    monkeypatch.setattr(runner, "_seconds_a_step", lambda grid, run, runtime: float(run.ell))
    start = [grid.branch_start(D) for D in grid.tokens]
    steps = start[1] + sum(grid.steps(D) - s for D, s in zip(grid.tokens, start, strict=True))
    assert runner.estimate(grid, runtime) == (1 + 2) * steps
    assert grid.steps_of_a_run() == steps


def test_a_step_is_timed_once_a_shape(grid, runtime, monkeypatch):
    timed = []
    update = Trainer.update
    monkeypatch.setattr(Trainer, "update", lambda self, f: timed.append(1) or update(self, f))
    runner._seconds_a_step.cache_clear()
    two = dataclasses.replace(grid, seeds=(0, 1))
    assert runner.estimate(two, runtime) > 0
    assert len(timed) == len(grid.depths) * (runner.TIMED_STEPS + 1)


def test_folders_are_not_mixed(grid, tmp_path, runtime):
    out = tmp_path / "out"
    runner.train(dataclasses.replace(grid, depths=(1,), tokens=(2048,)), out, runtime)
    with pytest.raises(InputError, match=r"cannot resume .*: depths was \[1\], now \[1, 2\]"):
        runner.train(grid, out, runtime, resume=True)
    with pytest.raises(InputError, match=r"\(--resume\)"):
        runner.train(dataclasses.replace(grid, depths=(1,), tokens=(2048,)), out, runtime)
    with pytest.raises(InputError, match="not empty"):
        runner.train(grid, tmp_path, runtime)


def test_too_little_text_or_disk_is_refused(grid, tmp_path, runtime, monkeypatch):
    with pytest.raises(InputError, match="are asked for"):
        runner.train(dataclasses.replace(grid, tokens=(2**24,)), tmp_path / "a", runtime)
    full = type("Usage", (), {"free": 10})()
    monkeypatch.setattr(runner.shutil, "disk_usage", lambda _: full)
    with pytest.raises(InputError, match="on disk"):
        runner.train(grid, tmp_path / "b", runtime)


def test_what_is_on_the_disk_already_need_not_be_free(grid, tmp_path, runtime, monkeypatch):
    out = tmp_path / "out"
    runner.train(grid, out, runtime)
    there = sum(file.stat().st_size for file in out.rglob("*.safetensors"))
    need = sum(runner._bytes(grid, run) for run in grid.runs())
    assert there < need
    nearly = type("Usage", (), {"free": need - there})()
    monkeypatch.setattr(runner.shutil, "disk_usage", lambda _: nearly)
    assert len(runner.train(grid, out, runtime, resume=True)) == 4


def test_a_tokenizer_that_was_half_saved_is_made_again(grid, tmp_path, monkeypatch):
    class Half:
        def save_pretrained(self, folder):
            (Path(folder) / "tokenizer.json").write_text("{")
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(text, "train_tokenizer", lambda *_: Half())
        with pytest.raises(Killed):
            text.load_tokenizer(tmp_path, grid)
    assert len(text.load_tokenizer(tmp_path, grid)) <= grid.vocabulary


def test_a_held_out_loss_that_is_not_finite_stops_that_run_only(
    grid, tmp_path, runtime, monkeypatch
):
    def measured(trainer, *texts):
        return Interval(math.nan if trainer.run.ell == 1 else 5.0, 4.9, 5.1, 0.05)

    monkeypatch.setattr("companion.ladder.run.held_out_loss", measured)
    table = runner.train(grid, tmp_path / "out", runtime).set_index("ell")
    assert table.loc[1, "status"].str.contains("held-out loss nan").all()
    assert (table.loc[2, "status"] == "ok").all()


def test_damaged_and_foreign_checkpoints_are_refused(grid, tmp_path, runtime):
    tokens = np.zeros((128, 32), np.uint16)
    one, other = (Trainer(grid, run, tokens, runtime) for run in grid.runs())
    one.update(1.0)
    one.save(tmp_path / "c.safetensors")
    with pytest.raises(InputError, match="is of m32-ell2"):
        other.load(tmp_path / "c.safetensors")
    damaged = tmp_path / "d.safetensors"
    damaged.write_bytes((tmp_path / "c.safetensors").read_bytes()[:1000])
    with pytest.raises(InputError, match="is damaged"):
        one.load(damaged)


def test_a_longer_training_begins_like_a_shorter_one():
    short, long = shuffled(STRETCH, 3), shuffled(3 * STRETCH - 5, 3)
    assert np.array_equal(long[:STRETCH], short)
    assert sorted(long) == list(range(3 * STRETCH - 5))


def test_schedule_warms_up_holds_and_decays_to_zero(grid):
    trunk = [schedule(grid, None, step) for step in range(10)]
    branch = [schedule(grid, 4096, step) for step in range(grid.steps(4096) + 1)]
    start = grid.branch_start(4096)
    assert trunk[:4] == [0.25, 0.5, 0.75, 1.0]
    assert set(trunk[4:]) == {1.0}
    assert branch[:start] == [schedule(grid, None, step) for step in range(start)]
    assert branch[-1] == 0
    assert np.all(np.diff(branch[start:]) < 0)


def test_initial_scales_follow_the_stated_rule():
    grid = Grid(widths=[64], depths=[8], tokens=[1e6], vocabulary=512)
    (run,) = grid.runs()
    net = build(grid, run)
    for name, weight in net.named_parameters():
        if weight.ndim == 2:
            expected = initial_std(name, weight.shape[1], grid, run)
            assert weight.std().item() == pytest.approx(expected, rel=0.05), name
    down = initial_std("layers.0.mlp.down_proj", 192, grid, run)
    assert down == pytest.approx(192**-0.5 / 4)


def test_flops_are_those_that_torch_counts():
    from torch.utils.flop_counter import FlopCounterMode

    grid = Grid(widths=[64], depths=[3], tokens=[1e6], context=64)
    net = build(grid, grid.runs()[0])
    net.config._attn_implementation = "eager"
    ids = torch.randint(0, grid.vocabulary, (2, 64))
    with FlopCounterMode(display=False) as counter:
        net(ids).logits.sum().backward()
    # Eager attention computes the masked half as well, and the first layer needs no input gradient.
    attention = 6 * 64 * 64 * 3
    assert counter.get_total_flops() / ids.numel() == pytest.approx(
        flops_per_token(net) + attention, rel=0.03
    )


def test_our_forward_is_the_models_own(grid):
    net = build(grid, grid.runs()[0])
    ids = torch.randint(0, grid.vocabulary, (3, grid.context))
    assert torch.equal(logits(net, ids), net(ids).logits)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch.compile warns of its own parts
def test_compiled_blocks_take_the_same_steps(grid, runtime):
    tokens = np.arange(128 * grid.context).reshape(128, -1).astype(np.uint16) % grid.vocabulary
    run = grid.runs()[0]
    plain, compiled = (Trainer(grid, run, tokens, runtime) for _ in range(2))
    compiled.compile()
    for _ in range(3):
        torch.testing.assert_close(compiled.update(1.0), plain.update(1.0), rtol=1e-4, atol=0)


def test_cuda_graph_needs_cuda(grid, tmp_path, runtime):
    with pytest.raises(InputError, match="CUDA graphs need a CUDA device, not 'cpu'"):
        runner.train(grid, tmp_path / "out", runtime, graph=True)
    assert not (tmp_path / "out").exists()


@pytest.mark.gpu
@pytest.mark.parametrize("compiled", [False, True])
def test_cuda_graph_takes_the_same_steps_and_resumes(grid, tmp_path, compiled):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    tokens = np.random.default_rng(0).integers(0, grid.vocabulary, (128, grid.context))
    how = (grid, grid.runs()[0], tokens.astype(np.uint16), Runtime.choose("cuda", "float32"))
    plain, graphed = Trainer(*how), GraphedTrainer(*how)
    if compiled:
        graphed.compile()
    for step in range(PLAIN_STEPS + 4):
        factor = 0.1 * (step + 1)
        ours, theirs = graphed.update(factor), plain.update(factor)
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=0)
        if step == PLAIN_STEPS + 1:
            graphed.save(tmp_path / "c.safetensors")
    graphed.load(tmp_path / "c.safetensors")
    plain.load(tmp_path / "c.safetensors")
    torch.testing.assert_close(graphed.update(1.0), plain.update(1.0), rtol=1e-4, atol=0)


def test_bigram_baseline_on_a_known_chain():
    generator = np.random.default_rng(0)
    flips = generator.random((400, 64)) < 0.1
    chain = (np.cumsum(flips, axis=1) % 2).astype(np.uint16)
    losses = text.ngram_losses(chain[:300], chain[300:], 2)
    entropy = -(0.1 * math.log(0.1) + 0.9 * math.log(0.9))
    assert losses["bigram"] == pytest.approx(entropy, abs=0.02)
    assert losses["unigram"] == pytest.approx(math.log(2), abs=0.02)


def test_checkpoints_are_the_trunk_at_their_step(grid, tmp_path, runtime):
    kept = dataclasses.replace(grid, depths=(1,), checkpoints=(5, 20))
    runner.train(kept, tmp_path / "out", runtime)
    (run,) = kept.runs()
    trainer = Trainer(kept, run, text.load_texts(tmp_path / "out", kept).train, runtime)
    for stop in kept.checkpoints:
        while trainer.step < stop:
            trainer.update(schedule(kept, None, trainer.step))
        stored = load_file(tmp_path / "out" / run.name / f"step{stop}" / "model.safetensors")
        for name, weight in trainer.net.named_parameters():
            assert torch.equal(stored[name], weight.detach().to(torch.bfloat16))
