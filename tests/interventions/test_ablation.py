"""Loss changes: against whole runs with a hooked model, against additivity, and by document."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from companion.errors import InputError
from companion.interventions import (
    ablate,
    by_documents,
    gain_of_depth,
    intervene,
    loss_change,
    resampled,
    save,
)


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
