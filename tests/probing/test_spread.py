"""A model whose weights lie partly on disk gives the numbers of the same model in memory.

The map sends parts to the CPU and to disk, which is what a model larger than its GPUs gets too.
"""

import json

import pytest
import torch
import xarray as xr
from transformers import LlamaConfig, LlamaForCausalLM

from companion import probing
from companion.models import load_model
from companion.probing.sweep.checkpoint import fingerprint
from companion.probing.sweep.noise import widened
from companion.runtime import Runtime

pytest.importorskip("accelerate", reason='the extra "spread" is not installed')

PARTLY = {
    "model.embed_tokens": "cpu",
    "model.layers.0": "disk",
    "model.layers.1": "cpu",
    "model.layers.2": "disk",
    "model.norm": "disk",
    "model.rotary_emb": "cpu",
    "lm_head": "cpu",
}
MAPS = {"partly on disk": PARTLY, "all on disk": {"": "disk"}, "auto": "auto"}


@pytest.fixture(scope="module", params=[False, True], ids=["untied", "tied"])
def folder(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("spread")
    torch.manual_seed(0)
    sizes = {"vocab_size": 50, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3}
    heads = {"num_attention_heads": 2, "tie_word_embeddings": request.param}
    LlamaForCausalLM(LlamaConfig(**sizes, **heads)).save_pretrained(path)
    return path


def load(folder, dtype, device_map=None):
    return load_model(str(folder), Runtime.choose("cpu", dtype), device_map)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("where", MAPS)
def test_the_place_of_the_weights_changes_nothing(folder, dtype, where):
    tokens = torch.randint(0, 50, (6, 12), generator=torch.Generator().manual_seed(1))
    spread, whole = load(folder, dtype, MAPS[where]), load(folder, dtype)
    on_disk = [weight.is_meta for weight in spread.net.parameters()]
    assert any(on_disk) == (where != "auto")
    assert spread.device == torch.device("cpu")
    assert fingerprint(spread) == fingerprint(whole)
    theirs, ours = (probing.probe(m, tokens, lens="both", batch_size=2) for m in (spread, whole))
    assert ("theta_noise" in ours) == (dtype == "bfloat16")
    xr.testing.assert_identical(theirs.drop_attrs(), ours.drop_attrs())
    certificates = [json.loads(result.attrs["certificate"]) for result in (theirs, ours)]
    for certificate in certificates:
        del certificate["by_column"]  # weights on disk are read whole
    assert certificates[0] == certificates[1]


def test_widening_weights_on_disk_is_undone(folder):
    model = load(folder, "bfloat16", PARTLY)
    tokens = torch.arange(8)[None]
    before = model.logits(tokens)
    with widened(model.net):
        wide = model.logits(tokens)
    assert wide.dtype == torch.float32
    assert {weight.dtype for weight in model.net.parameters()} == {torch.bfloat16}
    assert torch.equal(model.logits(tokens), before)
    assert torch.equal(wide, load(folder, "bfloat16").net.float()(tokens).logits)
