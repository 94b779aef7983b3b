"""Tracing: limits that must hold exactly, an independent loop, seeds, and what is not known."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import xarray as xr

from companion.errors import InputError
from companion.interventions import (
    Fact,
    Tracing,
    embedding_std,
    encode,
    estimate_trace,
    save,
    trace,
)
from companion.interventions.restoring import _noise
from companion.models import Model
from companion.runtime import Runtime

FACTS = [Fact("import {subject} as", "numpy", " np"), Fact("x={subject}+1", "py", ";py")]
SPEC = Tracing(noise=3.0, draws=3, window=0.0, batch=7)


@pytest.fixture
def traced(model):
    return trace(model, FACTS, SPEC)


def probability(model, item, hook_at=None, state=None, noise=0.0):
    """Target probability by the model's own loop, token for token; a state put in by hand."""
    ids = torch.tensor([item.ids])
    handles = []
    if hook_at is not None:
        layer, token = hook_at

        def put(block, args, answer):
            h = answer if isinstance(answer, torch.Tensor) else answer[0]
            h[0, token] = state

        handles.append(model.blocks[layer - 1].register_forward_hook(put))
    embedding = model.net.get_input_embeddings()
    handles.append(embedding.register_forward_hook(lambda *io: io[2] + noise))
    with torch.inference_mode():
        logs = model.net(input_ids=ids).logits[0].double().log_softmax(-1)
    for handle in handles:
        handle.remove()
    first = len(item.prompt) - 1
    return float(sum(logs[first + i, t] for i, t in enumerate(item.target)).exp())


def test_shape_and_padding(traced):
    assert dict(traced.sizes) == {"prompt": 2, "noise": 3, "layer": 5, "token": 14}
    short = traced.isel(prompt=1)
    assert short.probability.isnull().any("noise").any("layer").sum() == 14 - 5
    assert "".join(short.token_text.values.tolist()) == "x=py+1"


def test_clean_and_corrupted_runs_against_the_models_own_loop(model, traced):
    item = encode(FACTS[1], model.tokenizer)
    noise = _noise(model, FACTS[1], item, SPEC) * SPEC.noise * embedding_std(model)
    one = traced.isel(prompt=1)
    assert float(one.probability_clean) == pytest.approx(probability(model, item), rel=1e-4)
    for draw in range(3):
        expected = probability(model, item, noise=noise[draw])
        assert float(one.probability_corrupted[draw]) == pytest.approx(expected, rel=1e-4)


def test_one_restored_state_against_the_models_own_loop(model, traced):
    from companion.models import capture

    item = encode(FACTS[0], model.tokenizer)
    noise = _noise(model, FACTS[0], item, SPEC) * SPEC.noise * embedding_std(model)
    with torch.inference_mode():
        clean = capture(model, torch.tensor([item.ids]))
    token = item.subject[-1]
    state = clean.h[2, 0, token]
    expected = probability(model, item, (2, token), state, noise[1])
    found = traced.probability.isel(prompt=0).sel(noise=1, layer=2, token=token)
    assert float(found) == pytest.approx(expected, rel=1e-4)


def test_restoring_the_end_of_the_last_token_is_the_clean_run(model):
    found = trace(model, FACTS[:1], SPEC)
    end = found.probability.isel(prompt=0, layer=-1, token=-1)
    np.testing.assert_allclose(end, float(found.probability_clean[0]), rtol=1e-4)


def test_restoring_the_embedding_of_a_one_token_subject_is_the_clean_run(model):
    found = trace(model, FACTS[1:], SPEC).isel(prompt=0)
    place = int(np.flatnonzero(found.role == "end of subject")[0])
    whole = found.probability.sel(layer=0, token=place)
    np.testing.assert_allclose(whole, float(found.probability_clean), rtol=1e-4)


def test_tokens_before_the_subject_carry_the_corrupted_value(traced):
    before = traced.probability.where(traced.role == "before")
    corrupted = traced.probability_corrupted.broadcast_like(before)
    assert ((before == corrupted) | before.isnull()).all()


def test_a_window_over_all_layers_restores_the_subject_for_good(llama):
    found = trace(llama, FACTS[1:], replace(SPEC, window=1.0)).isel(prompt=0)
    place = int(np.flatnonzero(found.role == "end of subject")[0])
    grid = found.probability.sel(token=place)
    np.testing.assert_allclose(grid[:, 0], float(found.probability_clean), rtol=1e-4)


@pytest.mark.parametrize(
    ("share", "ell", "layer", "expected"),
    [
        (0.0, 4, 2, [2]),
        (0.1, 12, 6, [6]),
        (0.1, 36, 18, [17, 18, 19, 20]),
        (0.5, 4, 4, [4]),
        (0.5, 6, 0, [0, 1]),
    ],
)
def test_windows_grow_with_depth(share, ell, layer, expected):
    assert list(Tracing(window=share).layers(layer, ell)) == expected


def test_seeds_draws_and_other_facts(llama):
    both, alone = trace(llama, FACTS, SPEC), trace(llama, FACTS[1:], SPEC)
    corrupted = both.probability_corrupted
    np.testing.assert_array_equal(corrupted[1], alone.probability_corrupted[0])
    assert len(np.unique(corrupted)) == corrupted.size
    other = replace(llama, runtime=replace(llama.runtime, seed=4))
    assert not np.isclose(trace(other, FACTS, SPEC).probability_corrupted, corrupted).any()


def test_batch_size_does_not_matter(llama):
    one, many = (trace(llama, FACTS, replace(SPEC, batch=b)) for b in (1, 100))
    np.testing.assert_allclose(one.probability, many.probability, rtol=1e-4)


def test_an_unknown_fact_is_called_so(llama):
    found = trace(llama, FACTS, SPEC)
    assert not found.known.any()
    assert found.reason.values[0].startswith("the target is choice ")
    everything = trace(llama, FACTS, replace(SPEC, max_rank=300))
    lowered = everything.probability_clean > everything.probability_corrupted.max("noise")
    np.testing.assert_array_equal(everything.known, lowered)


def test_a_planted_fact_is_known(llama):
    """An unembedding along what is special about this subject makes the target the first choice."""
    others = [Fact(FACTS[0].prompt, word, " np") for word in ("numpy", "zqxpy", "a+bpy", "(-;py")]
    items = [encode(fact, llama.tokenizer) for fact in others]
    with torch.no_grad():
        net = llama.net.model
        ids = torch.tensor([item.ids for item in items])
        state = net(ids, use_cache=False).last_hidden_state[:, -1]
        llama.net.lm_head.weight[items[0].target[0]] = 3 * (state[0] - state[1:].mean(0))
    found = trace(llama, FACTS[:1], SPEC).isel(prompt=0)
    assert int(found["rank"]) == 1
    assert bool(found.known)
    assert str(found.reason.values) == ""


def test_the_result_survives_storage(llama, tmp_path):
    found = trace(llama, FACTS, SPEC)
    save(found, tmp_path / "trace.nc")
    with xr.open_dataset(tmp_path / "trace.nc", engine="h5netcdf") as stored:
        xr.testing.assert_identical(stored.load(), found)


def test_nothing_is_restored_for_what_is_not_known(llama):
    whole, known = (trace(llama, FACTS, replace(SPEC, known_only=k)) for k in (False, True))
    assert not known.known.any()
    assert known.probability.isnull().all()
    xr.testing.assert_identical(
        known.drop_vars("probability").drop_attrs(), whole.drop_vars("probability").drop_attrs()
    )


def test_states_that_nothing_reads_keep_the_corrupted_value(traced):
    end = traced.probability.isel(layer=-1).where(traced.role != "last")
    corrupted = traced.probability_corrupted.broadcast_like(end)
    assert ((end == corrupted) | end.isnull()).all()


def test_an_interrupted_trace_goes_on_where_it_was(llama, tmp_path):
    out = tmp_path / "trace.nc"
    seen = []

    def stop(done, total, **more):
        seen.append(done)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trace(llama, FACTS, SPEC, out=out, progress=stop)
    assert not out.exists()
    with pytest.raises(InputError, match=r"cannot resume .* draws was 3, now 2"):
        trace(llama, FACTS, replace(SPEC, draws=2), out=out, resume=True)
    again = trace(llama, FACTS, replace(SPEC, batch=1), out=out, resume=True, progress=stop)
    straight = trace(llama, FACTS, SPEC)
    xr.testing.assert_allclose(again, straight, rtol=1e-4)
    with pytest.raises(InputError, match="there already"):
        trace(llama, FACTS, SPEC, out=out)
    finished = trace(llama, FACTS, SPEC, out=out, resume=True)
    xr.testing.assert_equal(finished, again)
    with torch.no_grad():
        llama.net.lm_head.weight[0, 0] += 1
    with pytest.raises(InputError, match=r"cannot resume .* weights was"):
        trace(llama, FACTS, SPEC, out=out, resume=True)


def test_texts_are_kept_whole_where_a_later_fact_is_longer(llama, tmp_path):
    facts = FACTS[::-1]
    trace(llama, facts, SPEC, out=tmp_path / "t.nc")
    with xr.open_dataset(tmp_path / "t.nc", engine="h5netcdf") as stored:
        assert stored.prompt.values.tolist() == [fact.text for fact in facts]
        assert stored.target.values.tolist() == [fact.target for fact in facts]
        assert "".join(stored.token_text.values[1].tolist()) == facts[1].text


def test_a_model_in_memory_is_traced_with_its_tokenizer(llama):
    named = replace(llama.runtime, seed=0)
    ours = trace(replace(llama, runtime=named), FACTS, SPEC)
    bare = trace(llama.net, FACTS, SPEC, tokenizer=llama.tokenizer)
    np.testing.assert_allclose(bare.probability, ours.probability, rtol=1e-5)
    with pytest.raises(InputError, match="fast tokenizer"):
        trace(llama.net, FACTS, SPEC)


def test_the_cost_counts_every_block_and_every_readout(llama, monkeypatch):
    def counted(model, length):
        return SimpleNamespace(seconds=lambda blocks, readouts: (blocks, readouts))

    monkeypatch.setattr("companion.interventions.tracing.measure", counted)
    assert estimate_trace(llama, FACTS[1:], SPEC) == (
        SPEC.draws * (4 + 3 + 2 + 1) * 3 * 6,  # layers 0..3, three tokens from "py" on, 6 in all
        SPEC.draws * (4 * 3 + 1) * 2,  # of the last layer only the last token is read
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"noise": 0.0}, "noise 0.0 must be above 0"),
        ({"window": 1.5}, "window 1.5 must be between 0 and 1"),
        ({"draws": 0}, "draws 0 must be 1 or more, whole"),
    ],
)
def test_bad_settings_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        Tracing(**changes)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_finds_what_the_cpu_finds(llama):
    cpu = trace(llama, FACTS, SPEC)
    runtime = Runtime.choose("cuda", "float32", llama.runtime.seed)
    moved = Model.of(llama.net.to("cuda"), runtime, llama.tokenizer, llama.name)
    np.testing.assert_allclose(trace(moved, FACTS, SPEC).probability, cpu.probability, rtol=1e-2)
