"""Blocks out of their order: each kind against blocks composed by hand, and nothing left behind."""

import pytest
import torch

from companion.errors import InputError
from companion.interventions import KINDS, intervene, places
from companion.models import capture, patched, started_at


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.inference_mode():
        yield


@pytest.fixture
def clean(model, tokens):
    return capture(model, tokens)


def block(model, clean, index, h):
    """Block `index` with its own arguments, called as the model calls it."""
    call = clean.calls[index]
    answer = model.blocks[index](h, *call.arguments, **call.keywords)
    return answer if isinstance(answer, torch.Tensor) else answer[0]


def composed(model, clean, order, h):
    for index in order:
        h = block(model, clean, index, h)
    return h


@pytest.mark.parametrize(
    ("kind", "order"),
    [("skip", [0, 2, 3]), ("swap", [0, 2, 1, 3]), ("repeat", [0, 1, 1, 2, 3])],
)
def test_reordering_equals_blocks_composed_by_hand(model, tokens, clean, kind, order):
    expected = composed(model, clean, order, clean.h[0])
    with intervene(model, kind, 1, clean):
        changed = capture(model, tokens)
    torch.testing.assert_close(changed.h[-1], expected)
    assert not torch.allclose(changed.h[-1], clean.h[-1], atol=1e-3)


def test_average_takes_the_mean_update_of_the_neighbours(model, tokens, clean):
    h = clean.h[1]
    mean = h + sum(block(model, clean, j, h) - h for j in (0, 2)) / 2
    with intervene(model, "average", 1, clean):
        found = capture(model, tokens).h[2]
    torch.testing.assert_close(found, mean)


def test_average_at_an_end_takes_the_one_neighbour(model, tokens, clean):
    expected = block(model, clean, 1, clean.h[0])
    with intervene(model, "average", 0, clean):
        torch.testing.assert_close(capture(model, tokens).h[1], expected)


def test_parallel_blocks_do_not_see_each_other(model, tokens, clean):
    h = clean.h[1]
    both = h + sum(block(model, clean, j, h) - h for j in (1, 2))
    with intervene(model, "parallel", 1, clean):
        torch.testing.assert_close(capture(model, tokens).h[3], both)


@pytest.mark.parametrize("kind", KINDS)
def test_the_model_is_itself_again_even_after_an_error(model, tokens, clean, kind):
    before = model.logits(tokens)
    with pytest.raises(RuntimeError, match="within"), intervene(model, kind, 1, clean):
        raise RuntimeError("within")
    assert torch.equal(model.logits(tokens), before)
    for part in model.net.modules():
        assert "forward" not in vars(part)
        assert not part._forward_hooks
        assert not part._forward_pre_hooks


@pytest.mark.parametrize("layer", range(5))
def test_resuming_from_the_clean_state_is_the_clean_run(model, tokens, clean, layer):
    before = model.logits(tokens)
    with started_at(model, layer, clean.h[layer], clean):
        assert torch.equal(model.logits(tokens), before)
    assert torch.equal(model.logits(tokens), before)


def test_resuming_computes_nothing_below(llama, tokens):
    clean = capture(llama, tokens)
    mlps = [block.mlp for block in llama.blocks]
    calls = []
    handles = [m.register_forward_hook(lambda m, *_: calls.append(mlps.index(m))) for m in mlps]
    with started_at(llama, 2, clean.h[2], clean):
        llama.logits(tokens)
    for handle in handles:
        handle.remove()
    assert calls == [2, 3]


def test_without_a_stream_uniform_models_give_the_same(llama, tokens):
    clean = capture(llama, tokens)
    with intervene(llama, "swap", 1, clean):
        expected = llama.logits(tokens)
    with intervene(llama, "swap", 1):
        torch.testing.assert_close(llama.logits(tokens), expected)


def test_interventions_nest(llama, tokens):
    clean = capture(llama, tokens)
    with intervene(llama, "skip", 0), intervene(llama, "skip", 2):
        found = capture(llama, tokens).h[-1]
    torch.testing.assert_close(found, composed(llama, clean, [1, 3], clean.h[0]))


def test_editing_a_state_acts_from_there_on(model, tokens, clean):
    with patched(model, {2: torch.zeros_like}):
        found = capture(model, tokens)
    assert torch.equal(found.h[2], torch.zeros_like(clean.h[2]))
    assert torch.equal(found.h[1], clean.h[1])
    assert not torch.equal(found.h[-1], clean.h[-1])


def test_blocks_that_attend_differently_do_not_change_places_unasked(build):
    gemma = build("gemma2")
    with pytest.raises(InputError, match="full_attention, sliding_attention"):
        intervene(gemma, "swap", 0).__enter__()
    with intervene(gemma, "skip", 0):
        pass


@pytest.mark.parametrize(
    ("kind", "layer", "message"),
    [
        ("delete", 0, "'delete' is unknown: use one of skip"),
        ("skip", 4, "skip has no block 4: use 0..3"),
        ("swap", 3, "swap has no block 3: use 0..2"),
        ("skip", -1, "no block -1"),
    ],
)
def test_bad_kind_or_layer_is_refused(llama, kind, layer, message):
    with pytest.raises(InputError, match=message):
        intervene(llama, kind, layer).__enter__()


def test_a_single_block_has_nobody_to_change_places_with():
    assert list(places("skip", 1)) == [0]
    with pytest.raises(InputError, match="at least 2 blocks"):
        places("swap", 1)


def test_a_cache_is_refused_while_blocks_are_changed(llama, tokens):
    with intervene(llama, "repeat", 1), pytest.raises(InputError, match="use_cache=False"):
        llama.net(input_ids=tokens)
