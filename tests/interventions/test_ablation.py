"""Loss changes: against whole runs with a hooked model, against additivity, and by document."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from companion.errors import InputError
from companion.interventions import (
    KINDS,
    ablate,
    ablation,
    by_documents,
    estimate_ablation,
    gain_of_depth,
    intervene,
    loss_change,
    places,
    resampled,
    save,
)
from companion.interventions import losses as batches
from companion.interventions.ablation import positions_read
from companion.interventions.losses import units
from companion.models import capture, cost


def loss(model, tokens):
    """Mean cross-entropy as transformers itself computes it."""
    with torch.inference_mode():
        return float(model.net(input_ids=tokens, labels=tokens, use_cache=False).loss)


def test_loss_change_equals_the_difference_of_whole_runs(model, tokens):
    found = loss_change(ablate(model, tokens, ("skip", "repeat"), batch_size=2))
    for kind in ("skip", "repeat"):
        for layer in (0, 2):
            with intervene(model, kind, layer):
                changed = loss(model, tokens)
            expected = pytest.approx(changed - loss(model, tokens), abs=2e-6)
            assert float(found.sel(kind=kind, layer=layer)) == expected


def test_without_any_block_only_the_embedding_is_read(llama, tokens):
    found = ablate(llama, tokens, "skip")
    with torch.inference_mode():
        states = llama.net.model.norm(llama.net.get_input_embeddings()(tokens))
        logits = llama.net.lm_head(states)[:, :-1]
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
    gain = float(expected) - loss(llama, tokens)
    assert float(gain_of_depth(found)) == pytest.approx(gain, abs=1e-6)


def test_a_block_that_does_nothing_costs_nothing(llama, tokens):
    with torch.no_grad():
        llama.blocks[1].self_attn.o_proj.weight.zero_()
        llama.blocks[1].mlp.down_proj.weight.zero_()
    found = loss_change(ablate(llama, tokens))
    assert float(found.sel(kind="skip", layer=1)) == pytest.approx(0, abs=1e-6)
    assert float(found.sel(kind="repeat", layer=1)) == pytest.approx(0, abs=1e-6)
    assert abs(float(found.sel(kind="skip", layer=2))) > 1e-4


def test_equal_blocks_can_be_swapped_and_averaged_for_nothing(llama, tokens):
    llama.blocks[2].load_state_dict(llama.blocks[1].state_dict())
    llama.blocks[3].load_state_dict(llama.blocks[1].state_dict())
    found = loss_change(ablate(llama, tokens))
    assert float(found.sel(kind="swap", layer=1)) == pytest.approx(0, abs=1e-6)
    assert float(found.sel(kind="average", layer=2)) == pytest.approx(0, abs=1e-6)


def test_documents_are_kept_apart_and_all_tokens_counted(llama, tokens):
    documents = np.array([[0] * 5 + [7] * 7, [7] * 12, [9] * 12])
    blocks = [
        SimpleNamespace(tokens=t.numpy(), documents=d)
        for t, d in zip(tokens, documents, strict=True)
    ]
    found = ablate(llama, blocks, "skip")
    assert found.document.values.tolist() == [0, 7, 9]
    assert found.tokens.values.tolist() == [4, 18, 11]
    whole = loss_change(ablate(llama, tokens, "skip"))
    np.testing.assert_allclose(loss_change(found), whole, atol=1e-6)


def test_batch_size_does_not_matter(llama, tokens):
    one, three = (ablate(llama, tokens, "swap", batch_size=b) for b in (1, 3))
    np.testing.assert_allclose(one.loss, three.loss, atol=1e-6)


def test_places_that_a_kind_does_not_have_are_nan(llama, tokens):
    found = loss_change(ablate(llama, tokens, ("skip", "swap")))
    assert found.isnull().sum() == 1
    assert found.sel(kind="swap", layer=3).isnull()


def test_resampling_each_document_once_is_the_estimate(llama, tokens, generator):
    found = ablate(llama, tokens, "skip")
    weights = resampled(found, generator, 5)
    assert (weights.sum("document") == 3).all()
    same = loss_change(found, weights * 0 + 1)
    np.testing.assert_allclose(same.isel(draw=0, drop=True), loss_change(found))


def test_interval_holds_the_estimate_and_narrows_with_equal_documents(llama, tokens, generator):
    def first(dataset):
        return lambda w: loss_change(dataset, w).isel(kind=0, layer=0)

    spread = ablate(llama, tokens, "skip")
    interval = by_documents(first(spread), spread, generator, draws=200)
    assert interval.low <= interval.estimate <= interval.high
    equal = ablate(llama, tokens[:1].expand(3, -1), "skip")
    interval = by_documents(first(equal), equal, generator, draws=50)
    assert interval.high - interval.low < 1e-9


def test_progress_is_told_and_the_result_can_be_stored(llama, tokens, tmp_path):
    import xarray as xr

    told = []
    found = ablate(llama, tokens, "skip", batch_size=2, progress=lambda *at: told.append(at))
    done, totals = zip(*told, strict=True)
    assert set(totals) == {done[-1]}
    assert list(done) == sorted(done)
    assert len(done) > 10
    save(found, tmp_path / "a.nc")
    with xr.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as stored:
        xr.testing.assert_identical(stored.load(), found)


@pytest.mark.parametrize(
    "tokens", [torch.zeros(4, dtype=torch.long), torch.zeros(2, 1).long(), torch.rand(2, 5)]
)
def test_tokens_of_another_shape_or_type_are_refused(llama, tokens):
    with pytest.raises(InputError, match=r"integers \(block, position\)"):
        ablate(llama, tokens)


def test_any_batch_any_memory_the_same_losses(model, tokens, monkeypatch):
    """Disturbances kept one at a time, or all of them merged into each call of a block."""
    monkeypatch.setitem(batches.KEPT_BYTES, "cpu", 1)
    monkeypatch.setitem(batches.TOKENS, "cpu", 1)
    alone = ablate(model, tokens)
    monkeypatch.setitem(batches.KEPT_BYTES, "cpu", 1 << 30)
    monkeypatch.setitem(batches.TOKENS, "cpu", 1 << 16)
    merged = ablate(model, tokens)
    np.testing.assert_allclose(alone.loss, merged.loss, atol=1e-5)


def test_every_kind_equals_whole_runs_in_its_context(model, tokens):
    found = ablate(model, tokens)
    clean = capture(model, tokens)
    for kind in KINDS:
        for layer in places(kind, model.ell):
            with intervene(model, kind, layer, clean):
                expected = loss(model, tokens)
            mean = float(found.loss.sel(kind=kind, layer=layer).mean())
            assert mean == pytest.approx(expected, abs=5e-6), (kind, layer)


def test_losses_read_at_some_positions_are_those_of_the_whole(llama, tokens):
    part = ablate(llama, tokens, "skip", read_fraction=0.5)
    read = positions_read((3, 12), 0.5, llama.runtime.seed)
    assert part.tokens.values.tolist() == [6, 6, 6]
    with torch.inference_mode(), intervene(llama, "skip", 2):
        logits = llama.net(input_ids=tokens, use_cache=False).logits[:, :-1].transpose(1, 2)
    every = torch.nn.functional.cross_entropy(logits, tokens[:, 1:], reduction="none").numpy()
    expected = np.take_along_axis(every, read, 1).mean(1)
    np.testing.assert_allclose(part.loss.sel(kind="skip", layer=2), expected, atol=1e-5)


def test_positions_do_not_depend_on_the_rows_beside_them():
    many, few = (positions_read((rows, 9), 0.4, 1) for rows in (5, 2))
    np.testing.assert_array_equal(many[:2], few)
    assert (positions_read((2, 9), 1.0, 1) == np.arange(8)).all()


def test_memory_that_runs_out_halves_the_batch_and_changes_nothing(llama, tokens, monkeypatch):
    whole, own = ablate(llama, tokens, "skip"), ablation.losses

    def tight(model, ids, *rest):
        if len(ids) > 1:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return own(model, ids, *rest)

    monkeypatch.setattr(ablation, "losses", tight)
    told = []
    with pytest.warns(UserWarning, match="did not suffice for 3 rows at once: going on with 1"):
        found = ablate(llama, tokens, "skip", progress=lambda *at: told.append(at))
    np.testing.assert_allclose(found.loss, whole.loss, atol=1e-6)
    assert told[-1][0] == told[-1][1]


def test_too_little_memory_for_a_row_is_refused(llama, tokens, monkeypatch):
    def nothing_left(*_):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(ablation, "losses", nothing_left)
    with (
        pytest.warns(UserWarning, match="1 rows at once"),
        pytest.raises(InputError, match="one row on cpu"),
    ):
        ablate(llama, tokens[:1], "skip")


def test_a_network_in_memory_is_taken_as_it_is(llama, tokens):
    ours, theirs = ablate(llama, tokens, "skip"), ablate(llama.net, tokens, "skip")
    np.testing.assert_array_equal(ours.loss, theirs.loss)
    with intervene(llama.net, "skip", 1):
        changed = loss(llama, tokens)
    assert float(ours.loss.sel(kind="skip", layer=1).mean()) == pytest.approx(changed, abs=1e-5)


def test_the_estimate_counts_the_work_that_is_told(llama, tokens, monkeypatch):
    told = []
    ablate(llama, tokens, ("skip", "swap"), progress=lambda *at: told.append(at))
    plan = [(kind, layer) for kind in ("skip", "swap") for layer in places(kind, 4)]
    blocks, readouts = units(llama, plan, 3, 12, 11)
    assert told[-1] == (blocks + readouts * cost.readout_weight(llama),) * 2
    monkeypatch.setattr(ablation, "measure", lambda model, length: cost.Cost(2.0, 3.0))
    seconds = estimate_ablation(llama, 3, 12, ("skip", "swap"))
    assert seconds == 2 * blocks + 3 * readouts


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"read_fraction": 0.0}, "read_fraction 0.0 must be above 0"),
        ({"batch_size": -1}, "batch size -1 is out of range"),
    ],
)
def test_bad_settings_are_refused(llama, tokens, options, message):
    with pytest.raises(InputError, match=message):
        ablate(llama, tokens, **options)


def test_a_token_that_the_model_does_not_have_is_refused(llama, tokens):
    with pytest.raises(InputError, match=r"300 are not all of model 'tiny-llama': use 0\.\.299"):
        ablate(llama, tokens.index_fill(1, torch.tensor([3]), 300))


def test_blocks_that_cannot_be_run_apart_are_refused(llama, tokens):
    last, seen = llama.blocks[-1], []

    def moody(module, args, output):
        seen.append(output)
        return output + len(seen)

    handle = last.register_forward_hook(moody)
    with pytest.raises(InputError, match="cannot be disturbed block by block"):
        ablate(llama, tokens, "skip")
    handle.remove()
