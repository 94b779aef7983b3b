"""One pass: groups, sampling, shards, resuming, stopping, noise, compatibility, files."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from companion import probing
from companion.corpus import Block
from companion.files import read_netcdf
from companion.models import load_model
from companion.probing.dataset import to_state
from companion.probing.lens.readout import reduce_logits
from companion.probing.settings import Settings
from companion.probing.sweep import checkpoint, memory
from companion.runtime import Runtime

FIGURES = [
    *("norm", "update_norm", "theta", "theta_dh", "theta_end", "projection", "curvature"),
    *("cross_entropy", "entropy", "kl", "top1", "loss_removed", "update_correlation"),
]


def assert_equal_figures(a, b, exact=True):
    for name in FIGURES:
        if exact:
            np.testing.assert_array_equal(a[name], b[name], err_msg=name)
        else:
            np.testing.assert_allclose(a[name], b[name], rtol=1e-4, atol=1e-5, err_msg=name)


def test_the_lens_at_the_last_layer_is_the_models_own_loss(llama, draw):
    tokens = draw(6, 20)
    result = probing.probe(llama, tokens)
    table = result.cross_entropy.sel(layer=llama.ell - 1)
    count, mean = (table.sel(statistic=s).values for s in ("count", "mean"))
    with torch.no_grad():
        loss = llama.net(tokens, labels=tokens).loss
    assert (count * mean).sum() / count.sum() == pytest.approx(float(loss), rel=1e-5)
    assert count.tolist() == [6 * 18, 6]


def test_batches_do_not_matter(llama, draw):
    tokens = draw(7, 16)
    whole, parts = (probing.probe(llama, tokens, batch_size=n) for n in (7, 2))
    assert_equal_figures(whole, parts, exact=False)


def test_sinks_are_reported_apart(llama, draw):
    tokens = draw(4, 16)
    tokens[:, 7] = 1
    with torch.no_grad():
        weight = llama.net.get_input_embeddings().weight
        kept = weight[1].clone()
        weight[1] *= 1000
        try:
            result = probing.probe(llama, tokens, lens="none")
        finally:
            weight[1] = kept
    counts = result.norm.sel(statistic="count", layer=0)
    assert counts.sel(group="first") == 8
    assert counts.sel(group="rest") == 4 * 16 - 8


def test_shards_merge_to_the_whole_in_any_order(llama, draw):
    tokens = draw(10, 16)
    whole = probing.probe(llama, tokens, batch_size=1)
    shards = [probing.probe(llama, tokens, batch_size=1, shard=f"{i}/3") for i in range(3)]
    merged = probing.merge([shards[2], probing.merge([shards[0], shards[1]])])
    assert_equal_figures(whole, merged, exact=False)
    np.testing.assert_allclose(merged.norm, whole.norm, rtol=1e-12)
    assert np.array_equal(merged.state_histogram, whole.state_histogram)
    assert merged.attrs["tokens"] == whole.attrs["tokens"] == 160
    assert json.loads(merged.attrs["shards"]) == ["0/3", "1/3", "2/3"]


def test_a_file_keeps_everything(llama, tokens, tmp_path):
    result = probing.probe(llama, tokens, lens="both", out=tmp_path / "a.nc")
    xr.testing.assert_identical(probing.open(tmp_path / "a.nc"), result)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.nc"]


def test_a_fraction_of_the_lens_is_unbiased_and_independent_of_batches(llama, draw):
    tokens = draw(40, 24)
    whole = probing.probe(llama, tokens).cross_entropy.sel(group="rest")
    part, again = (
        probing.probe(llama, tokens, lens_fraction=0.25, batch_size=n).cross_entropy.sel(
            group="rest"
        )
        for n in (40, 7)
    )
    np.testing.assert_allclose(part, again, rtol=1e-4)
    count = part.sel(statistic="count", layer=0)
    assert 0.2 * 40 * 23 < count < 0.3 * 40 * 23
    away = part.sel(statistic="mean") - whole.sel(statistic="mean")
    assert (abs(away) < 4 * part.sel(statistic="sem")).values[: llama.ell].all()


def test_documents_are_clusters(llama, draw):
    tokens = draw(8, 16).numpy()
    one = [Block(row, np.full(16, k // 2)) for k, row in enumerate(tokens)]

    class Corpus(list):
        length, tokens = 16, None

        def manifest(self):
            return {"corpus": "made up"}

    result = probing.probe(llama, Corpus(one), lens="none")
    sums = to_state(result).distribution.clusters
    assert int((sums.counts[0].sum(0) > 0).sum()) == 4
    assert result.attrs["corpus_name"] == "made up"


def test_a_run_killed_twice_resumes_to_the_identical_result(llama, tmp_path, one_thread):
    """Killed between batches, and then, where it does nothing else, in the middle of writing."""
    llama.net.save_pretrained(tmp_path / "model")
    partial = tmp_path / "killed.nc.partial" / "state.nc"
    done = [0]
    for pause in ("0.2", "0.0"):
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path), pause])
        while reached(partial) <= done[-1] + 2 and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        done.append(reached(partial))
    assert not (tmp_path / "killed.nc").exists()
    assert 0 < done[1] < done[2] < 400
    model = load_model(str(tmp_path / "model"), Runtime.choose("cpu"))
    tokens = torch.arange(6400).reshape(400, 16) % 96
    resumed = probing.probe(model, tokens, out=tmp_path / "killed.nc", resume=True)
    whole = probing.probe(model, tokens, batch_size=1)
    for dataset in (resumed, whole):
        del dataset.attrs["provenance"]
    xr.testing.assert_identical(resumed, whole)
    assert not partial.exists()


def reached(partial):
    return int(read_netcdf(partial).attrs["next_block"]) if partial.exists() else 0


KILLED = """
import sys, time, torch
from companion import probing
from companion.models import load_model
from companion.probing.sweep import checkpoint
from companion.runtime import Runtime

torch.set_num_threads(1)
checkpoint.SECONDS = 0.0
model = load_model(sys.argv[1] + "/model", Runtime.choose("cpu"))
tokens = torch.arange(6400).reshape(400, 16) % 96
slow = lambda done, total: time.sleep(float(sys.argv[2]))
out = sys.argv[1] + "/killed.nc"
probing.probe(model, tokens, out=out, batch_size=1, progress=slow, resume=True)
"""


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_resuming_with_other_parameters_is_refused(llama, draw, tmp_path):
    tokens, out = draw(4, 16), tmp_path / "a.nc"
    interrupt(llama, tokens, out)
    for changed in ({"lens_fraction": 0.5}, {"shard": "0/2"}, {"sink_ratio": 5.0}):
        with pytest.raises(ValueError, match=f"cannot resume .*: {next(iter(changed))} was"):
            probing.probe(llama, tokens, out=out, resume=True, **changed)
    with pytest.raises(ValueError, match=r"corpus\.sha256 was"):
        probing.probe(llama, tokens + 1, out=out, resume=True)
    resumed = probing.probe(llama, tokens, out=out, resume=True)
    assert_equal_figures(resumed, probing.probe(llama, tokens, batch_size=1))


def test_resuming_a_complete_run_does_no_work(llama, draw, tmp_path, monkeypatch):
    tokens, out = draw(4, 16), tmp_path / "a.nc"
    done = probing.probe(llama, tokens, out=out)
    written = out.stat().st_mtime_ns
    with monkeypatch.context() as patch:
        patch.setattr(type(llama), "states", lambda *_: pytest.fail("the model was run"))
        with pytest.warns(UserWarning, match=r"a\.nc' is complete: there is nothing to do"):
            again = probing.probe(llama, tokens, out=out, resume=True)
    xr.testing.assert_identical(again, done)
    assert out.stat().st_mtime_ns == written
    with pytest.raises(ValueError, match=r'cannot resume .*: lens was "last_block", now "none"'):
        probing.probe(llama, tokens, out=out, resume=True, lens="none")
    with pytest.raises(ValueError, match=r'cannot resume .*: shard was "0/1", now "0/2"'):
        probing.probe(llama, tokens, out=out, resume=True, shard="0/2")
    with pytest.raises(ValueError, match="is there already"):
        probing.probe(llama, tokens, out=out, lens="none")
    other = probing.probe(llama, tokens, out=out, lens="none", overwrite=True)
    assert other.attrs["lens"] == "none"


def test_a_checkpoint_goes_before_an_older_result_of_other_parameters(llama, draw, tmp_path):
    tokens, out = draw(4, 16), tmp_path / "a.nc"
    probing.probe(llama, tokens, out=out, lens="none")
    interrupt(llama, tokens, out)
    resumed = probing.probe(llama, tokens, out=out, resume=True)
    assert_equal_figures(resumed, probing.probe(llama, tokens, batch_size=1))


def interrupt(model, tokens, out):
    def stop(done, total):
        if done > tokens.shape[1]:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "SECONDS", 0.0)
        with pytest.raises(KeyboardInterrupt):
            probing.probe(
                model, tokens, out=out, batch_size=1, progress=stop, overwrite=out.exists()
            )


def test_a_run_stops_itself_once_precise_enough(llama, draw):
    tokens = draw(300, 8)
    result = probing.probe(llama, tokens, until_sem={"norm": 0.5}, batch_size=10, lens="none")
    sem = result.norm.sel(group="rest", statistic="sem")
    assert (sem <= 0.5).all()
    assert 32 * 8 <= result.attrs["tokens"] < tokens.numel()
    never = probing.probe(llama, tokens[:40], until_sem={"norm": 1e-9}, lens="none")
    assert never.attrs["tokens"] == 320


def test_a_run_killed_after_it_was_precise_enough_resumes_to_the_same(llama, draw, tmp_path):
    tokens, out = draw(300, 8), tmp_path / "a.nc"
    options = {"until_sem": {"norm": 0.5}, "batch_size": 10, "lens": "none", "out": out}

    def die(*_):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "SECONDS", 0.0)
        patch.setattr("companion.runs.Output.finish", die)
        with pytest.raises(KeyboardInterrupt):
            probing.probe(llama, tokens, **options)
    resumed = probing.probe(llama, tokens, resume=True, **options)
    whole = probing.probe(llama, tokens, overwrite=True, **options)
    assert resumed.attrs["tokens"] == whole.attrs["tokens"] < tokens.numel()
    np.testing.assert_array_equal(resumed.norm, whole.norm)


def test_a_checkpoint_is_not_merged(llama, draw, tmp_path):
    interrupt(llama, draw(4, 16), tmp_path / "a.nc")
    half = probing.open(tmp_path / "a.nc.partial" / "state.nc")
    with pytest.raises(ValueError, match=r"a checkpoint .* cannot be merged"):
        probing.merge([half, half])


def test_the_noise_floor_of_bfloat16_is_measured(build_model, draw):
    tokens = draw(4, 16)
    wide, low = build_model("llama"), build_model("llama", "bfloat16")
    before = [p.clone() for p in low.net.parameters()]
    result = probing.probe(low, tokens)
    for old, new in zip(before, low.net.parameters(), strict=True):
        assert torch.equal(old, new)
        assert new.dtype == torch.bfloat16
    theta = result.theta.sel(group="rest", statistic="mean").values[:-1]
    exact = probing.probe(wide, tokens)
    assert "theta_noise" not in exact
    noise = result.theta_noise.values[:-1]
    assert (noise > 0).all()
    assert (noise < 0.1).all()
    assert (np.abs(theta - exact.theta.sel(group="rest", statistic="mean")[:-1]) < 4 * noise).all()


def test_paper_compat_shows_what_the_published_choices_do(llama, tokens):
    ours, theirs = (probing.probe(llama, tokens, paper_compat=x) for x in (False, True))
    smallest = theirs.theta.sel(group="rest", statistic="min")
    assert ((smallest == 0) | (smallest > 0.08) | smallest.isnull()).all()
    last = {"layer": llama.ell, "group": "rest", "statistic": "mean"}
    assert abs(float(theirs.norm.sel(last) - ours.norm.sel(last))) > 1e-3
    for name in ("norm", "cross_entropy"):
        counts, means = (ours[name].sel(statistic=s)[:, :-1] for s in ("count", "mean"))
        pooled = (counts * means).sum("group") / counts.sum("group")
        together = theirs[name].sel(group="rest", statistic="mean")[:-1]
        np.testing.assert_allclose(pooled, together, rtol=1e-5)
    assert (theirs.norm.sel(group="first", statistic="count") == 0).all()


def test_memory_that_does_not_suffice_halves_the_batch_with_a_notice(llama, draw, monkeypatch):
    from companion.probing.sweep import loop as sweep

    tokens = draw(8, 16)
    real = sweep.capture

    def small(model, tokens, *rest):
        if len(tokens) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return real(model, tokens, *rest)

    monkeypatch.setattr(sweep, "capture", small)
    with pytest.warns(UserWarning, match="memory did not suffice") as told:
        halved = probing.probe(llama, tokens, batch_size=8)
    assert "for 8 blocks at once: going on with 4" in str(told[0].message)
    assert_equal_figures(halved, probing.probe(llama, tokens, batch_size=2), exact=False)
    monkeypatch.setattr(sweep, "capture", lambda *a: small(None, range(3)))
    with (
        pytest.warns(UserWarning, match="memory did not suffice"),
        pytest.raises(ValueError, match="does not suffice for one block"),
    ):
        probing.probe(llama, tokens, batch_size=2)


def test_a_repeat_in_float32_that_does_not_fit_is_refused(build_model, draw, monkeypatch):
    from companion.probing.sweep import noise

    def full(net):
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(noise, "widened", full)
    low = build_model("llama", "bfloat16")
    with pytest.raises(ValueError, match=r"repeat 1 blocks in float32.*noise_batches=0"):
        probing.probe(low, draw(2, 8), batch_size=2)
    assert "theta_noise" not in probing.probe(low, draw(2, 8), noise_batches=0)


def test_batches_fit_into_memory(llama, monkeypatch):
    settings = Settings()
    for free, expected in ((10**12, memory.TOKENS_AT_ONCE["cpu"] // 64), (10**3, 1)):
        monkeypatch.setattr(memory, "free_memory", lambda model, free=free: free)
        assert memory.blocks_at_once(llama, settings, 50, 64, llama.V) == expected
    each, fixed = (
        memory.block_bytes(llama, settings, 50, 64),
        memory.logit_bytes(llama, settings, llama.V),
    )
    monkeypatch.setattr(memory, "free_memory", lambda model: 2 * (3 * each + fixed))
    assert memory.blocks_at_once(llama, settings, 50, 64, llama.V) == 3


def test_attention_scores_and_logits_count_towards_memory(build_model):
    model, settings = build_model("llama"), Settings()
    scores = [memory.block_bytes(model, settings, 50, length) for length in (64, 128)]
    assert scores[1] == pytest.approx(2 * scores[0], rel=0.1)
    model.net.set_attn_implementation("eager")
    written = [memory.block_bytes(model, settings, 50, length) for length in (64, 128)]
    assert written[0] - scores[0] > 64 * 64 * 4 * 4
    assert written[1] > 2.2 * written[0]
    lenses = [
        memory.logit_bytes(model, Settings(lens=lens), model.V) for lens in ("none", "last_block")
    ]
    assert lenses[0] == 0
    assert lenses[1] >= 4 * model.ell * model.V


def test_summarise_measures_paths_without_a_model():
    steps = torch.randn(9, 400, 64, generator=torch.Generator().manual_seed(0))
    documents = np.arange(400) // 4
    result = probing.summarise([(steps.cumsum(0), documents)], attrs={"model": "walk"})
    off = result.update_correlation.values[np.triu_indices(8, 1)]
    assert np.abs(off).max() < 0.03
    turn = result.theta_dh.sel(group="rest", statistic="mean")[:7]
    assert np.abs(turn - np.pi / 2).max() < 0.05
    straight = float(result.straightness.sel(group="rest", statistic="mean"))
    assert straight == pytest.approx(1 / np.sqrt(8), rel=0.1)
    assert result.attrs["model"] == "walk"
    assert "cross_entropy" not in result


def test_histograms_count_every_token(llama, tokens):
    result = probing.probe(llama, tokens)
    for name in ("norm", "theta", "cross_entropy"):
        rest = result[name].sel(group="rest", statistic="count")
        histogram = result[f"{name}_histogram"]
        assert histogram.attrs["outside"] == 0
        np.testing.assert_array_equal(histogram.sum(f"{name}_bin"), rest.fillna(0))
        assert len(result[f"{name}_edges"]) == histogram.shape[1] + 1


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_the_compiled_reduction_agrees():
    logits = 5 * torch.randn(3, 10, 200, generator=torch.Generator().manual_seed(0))
    target = torch.arange(10)
    fused = torch.compile(reduce_logits, dynamic=True)(logits, target)
    for ours, eager in zip(fused, reduce_logits(logits, target), strict=True):
        torch.testing.assert_close(ours, eager, rtol=1e-4, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_agrees_with_the_cpu(llama, build_model, draw):
    from companion.models import Model

    tokens = draw(8, 32)
    runtime = Runtime.choose("cuda", "float32")
    there = Model.of(build_model("llama").net.to("cuda"), runtime)
    assert_equal_figures(probing.probe(there, tokens), probing.probe(llama, tokens), exact=False)


def test_nothing_of_the_workplace_is_in_the_file(llama, tokens):
    result = probing.probe(llama, tokens)
    assert str(Path.home()) not in json.dumps(result.attrs, default=str)
