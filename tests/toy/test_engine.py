"""The engine equals the plain reference, resumes to the bit, and survives what goes wrong."""

import dataclasses

import numpy as np
import pytest
import torch

from benchmarks import plain_toy as reference
from companion.errors import InputError
from companion.runtime import Runtime
from companion.toy import Specification, run_toy
from companion.toy.networks.blocks import BLOCKS
from companion.toy.training.engine import Engine, members_that_fit
from companion.toy.training.graphs import GraphedEngine

STEPS = 5
VARIANTS = {
    "learned head": {},
    "given head": {"head": "given", "lr_depth": 16, "decay_from": 0.2},
    "two seeds": {"seeds": 2, "rho": [0.5]},
}
STATE = {"loss": "mse", "head": "none", "temperatures": [1.0]}
VARIANTS |= {block: STATE | {"block": block} for block in BLOCKS}


PLAIN = {"mlp.up.weight": "W1", "mlp.up.bias": "b1", "mlp.down.weight": "W2"}
PLAIN |= {name.replace("mlp", "second"): f"{ours}_mid" for name, ours in PLAIN.items()}


def averages(adam: torch.optim.Adam, w: torch.Tensor) -> list[torch.Tensor]:
    return [adam.state[w][key] for key in ("exp_avg", "exp_avg_sq")]


def engine_weights(engine: Engine, ell: int, index: int) -> dict[str, list[torch.Tensor]]:
    """Each weight of one student with Adam's averages of it."""
    stack, adam = next(
        (s, a) for s, a in zip(engine.stacks, engine.optimizers, strict=True) if s.ell == ell
    )
    return {
        name: [t[index].detach() for t in (w, *averages(adam, w))]
        for name, w in stack.parameters().items()
    }


def plain_weights(plain: reference.Plain) -> dict[str, list[torch.Tensor]]:
    """The same of a plain student; linear layers keep the transposed matrix."""
    result = {}
    for path, w in plain.student.named_parameters():
        if w.requires_grad:
            name = (
                f"{plain.ell}.head"
                if path == "head"
                else path.removeprefix("blocks.").replace(".own.", ".")
            )
            layer, _, own = name.partition(".")
            tensors = [w.detach(), *averages(plain.adam, w)]
            turned = [t.mT if t.dim() == 2 else t for t in tensors]
            linear = own in (*PLAIN, "head")
            result[f"{layer}.{PLAIN.get(own, own)}"] = turned if linear else tensors
    return result


def test_every_block_has_its_plain_reference():
    assert set(reference.ORACLES) == set(BLOCKS)
    assert all(reference.ORACLES[name].streams == BLOCKS[name].streams for name in BLOCKS)


@pytest.mark.parametrize("variant", VARIANTS)
def test_engine_equals_plain_reference_with_adam_state(small, exact, variant):
    spec = Specification(**small | VARIANTS[variant])
    engine = Engine(spec, exact)
    batched = [engine.advance() for _ in range(STEPS)]
    for stack_index, stack in enumerate(engine.stacks):
        for i, member in enumerate(stack.members):
            plain = reference.Plain(spec, stack.ell, member, torch.float64)
            for _ in range(STEPS):
                plain.advance()
            ours = [float(losses[stack_index][i]) for losses in batched]
            np.testing.assert_allclose(ours, plain.history, rtol=1e-10, atol=1e-14)
            mine, theirs = engine_weights(engine, stack.ell, i), plain_weights(plain)
            assert set(mine) == set(theirs)
            for name in mine:
                for a, b in zip(mine[name], theirs[name], strict=True):
                    torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-9)


def test_float32_engine_equals_float32_reference(spec):
    engine = Engine(spec, Runtime.choose("cpu", "float32"))
    batched = [engine.advance() for _ in range(STEPS)]
    plain = reference.Plain(spec, 4, engine.stacks[0].members[3])
    for _ in range(STEPS):
        plain.advance()
    np.testing.assert_allclose([float(b[0][3]) for b in batched], plain.history, rtol=2e-5)


def test_number_of_workers_changes_no_bit(spec, exact):
    alone = run_toy(spec, exact)
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        together = run_toy(spec, exact)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)
    assert alone.identical(together.assign_attrs(alone.attrs))


def test_groups_of_members_change_only_rounding(spec, exact):
    whole, split = Engine(spec, exact), Engine(spec, exact, group=3)
    for _ in range(3):
        whole.advance(), split.advance()
    np.testing.assert_allclose(whole.test().mean, split.test().mean, rtol=1e-10)


class Stopped(Exception):
    pass


def stop_at(step):
    def report(done, total, note=""):
        if done >= step:
            raise Stopped

    return report


def test_resume_is_bit_identical(spec, exact, tmp_path, monkeypatch):
    monkeypatch.setattr("companion.toy.experiment.SAVE_EVERY", 0.0)
    ticks = iter(range(10**6))
    monkeypatch.setattr("companion.runs.progress.time.monotonic", lambda: 2.0 * next(ticks))
    path = tmp_path / "toy.nc"
    for step in (3, 7):
        with pytest.raises(Stopped):
            run_toy(spec, exact, out=path, resume=True, progress=stop_at(step))
        assert (tmp_path / "toy.nc.partial" / "checkpoint.safetensors").exists()
    resumed = run_toy(spec, exact, out=path, resume=True)
    straight = run_toy(spec, exact)
    assert resumed.identical(straight.assign_attrs(resumed.attrs))
    assert list(tmp_path.iterdir()) == [path]
    again = run_toy(spec, exact, out=path, resume=True, progress=stop_at(0))
    assert again.identical(resumed.assign_attrs(again.attrs))


@pytest.fixture
def begun(spec, exact, tmp_path, monkeypatch):
    """The output of a run that was stopped after it had kept its state."""
    monkeypatch.setattr("companion.toy.experiment.SAVE_EVERY", 0.0)
    with pytest.raises(Stopped):
        run_toy(spec, exact, out=tmp_path / "r.nc", progress=stop_at(spec.steps))
    return tmp_path / "r.nc"


def test_what_is_there_is_not_overwritten(spec, exact, begun):
    with pytest.raises(InputError, match="holds a run"):
        run_toy(spec, exact, out=begun)
    run_toy(spec, exact, out=begun, overwrite=True)
    with pytest.raises(InputError, match="is there already"):
        run_toy(spec, exact, out=begun)


def test_another_specification_is_refused(spec, exact, begun):
    other = dataclasses.replace(spec, lr=1e-4)
    with pytest.raises(InputError, match=r"lr was 0\.003, now 0\.0001"):
        run_toy(other, exact, out=begun, resume=True)


def test_checkpoint_of_other_numbers_is_refused(spec, exact, begun):
    """Batches are drawn by the device: another one would go on with other data."""
    with pytest.raises(InputError, match='numbers was "cpu float64", now "cpu float32"'):
        run_toy(spec, Runtime.choose("cpu", "float32"), out=begun, resume=True)


def test_corrupt_checkpoint_is_kept_aside(spec, exact, begun):
    checkpoint = begun.with_name("r.nc.partial") / "checkpoint.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:-40])
    with pytest.raises(InputError, match="corrupt"):
        run_toy(spec, exact, out=begun, resume=True)
    assert checkpoint.with_name("checkpoint.safetensors.corrupt").exists()


def test_one_diverged_student_is_reported_and_the_others_go_on(spec, exact, monkeypatch):
    normal = Engine._train

    def poisoned(self, stack, adam, targets):
        if stack.ell == 2 and self.step == 2:
            with torch.no_grad():
                stack.weights[0]["W1"][1] = torch.nan
        return normal(self, stack, adam, targets)

    clean = run_toy(spec, exact)
    monkeypatch.setattr(Engine, "_train", poisoned)
    result = run_toy(spec, exact)
    bad = result["diverged"]
    assert int(bad.sum()) == 1
    assert bool(bad.isel(teacher=0, temperature=1).sel(depth=2))
    for ell in (1, 4):
        assert result["test_loss"].sel(depth=ell).identical(clean["test_loss"].sel(depth=ell))


def test_too_little_memory_splits_or_refuses(spec, monkeypatch):
    monkeypatch.setattr("companion.toy.training.engine.free_memory", lambda device: 170_000)
    assert 1 <= members_that_fit(spec, "cpu", 4) < spec.members
    monkeypatch.setattr("companion.toy.training.engine.free_memory", lambda device: 1000)
    with pytest.raises(InputError, match="batch 16"):
        members_that_fit(spec, "cpu", 4)


def test_weights_that_do_not_fit_are_refused_before_they_are_made(spec):
    huge = dataclasses.replace(spec, width=100_000)
    with pytest.raises(InputError, match="make width, depths or batch smaller"):
        Engine(huge, Runtime.choose("cpu", "float32"))


def test_stacks_share_the_cache_of_a_cpu(spec):
    wide = dataclasses.replace(spec, batch=2**17 // spec.hidden)
    assert members_that_fit(wide, "cpu", 4) == 2 < spec.members
    assert members_that_fit(spec, "cpu", 4) == spec.members


def test_half_precision_is_refused(spec):
    with pytest.raises(InputError, match="float32 or float64"):
        run_toy(spec, Runtime.choose("cpu", "bfloat16"))


def test_cuda_graph_needs_cuda(spec, exact):
    with pytest.raises(InputError, match="CUDA graphs need a CUDA device, not 'cpu'"):
        run_toy(spec, exact, graph=True)


@pytest.mark.gpu
def test_cuda_graph_takes_the_same_steps(small):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    spec, runtime = Specification(**small | {"decay_from": 0.2}), Runtime.choose("cuda", "float64")
    plain, graphed = Engine(spec, runtime), GraphedEngine(spec, runtime)
    for _ in range(STEPS):
        for ours, theirs in zip(graphed.advance(), plain.advance(), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(graphed.test().mean, plain.test().mean, rtol=1e-5)


@pytest.mark.gpu
def test_gpu_equals_cpu_within_rounding(spec):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    engine = Engine(spec, Runtime.choose("cuda", "float64"))
    host = Engine(spec, Runtime.choose("cpu", "float64"))
    assert engine.teachers.head.device.type == "cuda"
    torch.testing.assert_close(engine.teachers.head.cpu(), host.teachers.head)
    assert np.all(np.isfinite([float(loss.mean()) for loss in engine.advance()]))
