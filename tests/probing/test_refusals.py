"""What does not fit together is refused with one sentence, before or while a run goes on."""

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertLMHeadModel, T5Config, T5ForConditionalGeneration

from companion import probing
from companion.errors import InputError
from companion.models import Model
from companion.probing.sweep.tokens import Shard
from companion.runtime import Runtime

CPU = Runtime.choose("cpu")


def test_an_encoder_and_an_encoder_decoder_are_refused_by_name():
    small = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 50}
    bert = BertLMHeadModel(BertConfig(**small, intermediate_size=16, is_decoder=True))
    bert.config.is_decoder = False
    with pytest.raises(InputError, match="'b' \\(bert\\) is an encoder: use a decoder-only"):
        Model.of(bert, CPU, name="b")
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 2, "num_heads": 2}
    t5 = T5ForConditionalGeneration(T5Config(**sizes, vocab_size=50))
    with pytest.raises(InputError, match="\\(t5\\) is an encoder-decoder"):
        Model.of(t5, CPU)


def test_a_model_without_blocks_is_refused(build_model):
    net = build_model("llama").net
    net.config.num_hidden_layers = 7
    with pytest.raises(InputError, match="no list of 7 blocks"):
        Model.of(net, CPU)


def test_one_block_is_refused(build_model, tokens):
    with pytest.raises(InputError, match="ell = 1 block"):
        probing.probe(build_model("llama", num_hidden_layers=1), tokens)


def test_a_family_whose_code_fails_is_refused_with_its_reason(build_model, monkeypatch):
    model = build_model("llama")
    monkeypatch.setattr(model.net.model.norm, "forward", lambda *args: args[1])
    with pytest.raises(InputError, match=r"llama\) does not run on four tokens .*out of range"):
        Model.of(model.net, CPU)
    monkeypatch.undo()
    monkeypatch.setattr(Model, "readout", lambda self, z: z.no_such_thing)
    with pytest.raises(probing.CertificateError, match=r"cannot be taken apart .*no_such_thing"):
        probing.certify(model)


def test_blocks_that_take_several_states_a_token_are_refused(build_model, tokens):
    model = build_model("llama")
    model.net.config.hidden_size = 16
    with pytest.raises(InputError, match="does not hand block 0 one state of 16 numbers a token"):
        probing.probe(model, tokens)


def test_weights_that_are_not_finite_name_the_layer(build_model, tokens):
    model = build_model("llama")
    with torch.no_grad():
        model.blocks[1].mlp.down_proj.weight[0, 0] = torch.nan
    with pytest.raises(InputError, match="hidden state of layer 2 is not finite on random tokens"):
        probing.probe(model, tokens)


def test_a_tokenizer_larger_than_the_model_is_refused(build_model):
    class Tokenizer(list):
        pass

    with pytest.raises(InputError, match="has 97 tokens but the model embeds only 96"):
        Model.of(build_model("llama").net, CPU, tokenizer=Tokenizer(range(97)))


def test_a_certificate_can_fail(build_model, tokens, monkeypatch):
    model = build_model("llama")
    monkeypatch.setattr(Model, "readout", lambda self, z: self.unembedding(z))
    with pytest.raises(probing.CertificateError, match="certificate 'lens'"):
        probing.probe(model, tokens)
    monkeypatch.undo()
    attention = model.blocks[1].self_attn
    attention.forward = lambda hidden_states, **kwargs: (hidden_states.flip(1), None)
    with pytest.raises(probing.CertificateError, match="certificate 'future'"):
        probing.probe(model, tokens)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (torch.zeros(0, 8, dtype=torch.long), "hold no block"),
        (torch.zeros(4, 1, dtype=torch.long), "hold no block"),
        (torch.zeros(8, dtype=torch.long), "give an integer tensor"),
        (torch.zeros(2, 8), "give an integer tensor"),
        (np.full((2, 8), 96), "has token 96 but the vocabulary of 'llama' is 0 .. 95"),
        (np.full((2, 8), -1), "has token -1"),
        (torch.ones(2, 65, dtype=torch.long), "exceed the context of 'llama', 64 tokens"),
        ("python-source", "has no tokenizer"),
    ],
)
def test_tokens_that_do_not_fit_are_refused(llama, given, words):
    with pytest.raises(InputError, match=words):
        probing.probe(llama, given)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"lens": "both_"}, "lens 'both_' must be one of last_block, logit"),
        ({"lens_fraction": 0.0}, r"lens_fraction 0.0 is neither auto nor a number in \(0, 1\]"),
        ({"lens_fraction": 1.5}, "lens_fraction 1.5 is neither auto nor a number"),
        ({"sink_ratio": 1.0}, "sink_ratio 1.0 must be above 1"),
        ({"sink_ratio": float("nan")}, "sink_ratio nan must be above 1 and finite"),
        ({"until_sem": {"loss": 0.1}}, "until_sem names 'loss'"),
        ({"until_sem": {"norm": 0.0}}, "until_sem 0.0 must be above 0"),
        ({"batch_size": -1}, "batch_size -1 must be 0 or more, whole"),
        ({"noise_batches": -1}, "noise_batches -1 must be 0 or more"),
        ({"shard": "2/2"}, "shard '2/2' is out of range"),
        ({"shard": "1"}, "shard '1' is out of range"),
        ({"shard": "3/3"}, "use I/N with 0 <= I < N"),
        ({"shard": "5/9"}, "shard 5/9 has no block: there are only 3"),
        ({"resume": True}, "need an output"),
    ],
)
def test_parameters_out_of_range_are_refused(llama, tokens, changed, words):
    with pytest.raises(InputError, match=words):
        probing.probe(llama, tokens, **changed)


def test_shards_are_read_as_written():
    assert Shard.parse("2/5") == Shard(2, 5)
    assert str(Shard(2, 5)) == "2/5"


def test_states_that_are_not_finite_name_layer_and_block(build_model, draw):
    model = build_model("llama")
    tokens = draw(5, 8)
    tokens[3, 2] = 1

    def spoil(block, args, output):
        return output.where(torch.arange(8)[:, None] != 2, torch.nan)

    def watch(block, args, kwargs):
        embedded = model.net.get_input_embeddings().weight[1]
        hidden = args[0] if args else kwargs["hidden_states"]
        if hidden.shape[1] == 8 and (hidden[-1, 2] == embedded).all():
            handle.append(model.blocks[1].register_forward_hook(spoil))

    handle = []
    model.blocks[0].register_forward_pre_hook(watch, with_kwargs=True)
    with pytest.raises(InputError, match="layer 2 is not finite in block 3"):
        probing.probe(model, tokens, batch_size=1)


def test_predictions_that_are_not_finite_name_layer_and_block(build_model, draw, monkeypatch):
    model = build_model("llama")
    tokens = draw(5, 8)
    tokens[tokens == 1] = 2
    tokens[3, 2] = 1
    real = Model.head

    def cut_off(self, z, columns=None):
        logits = real(self, z, columns)
        of_layers = z.ndim == 3  # the certificate reads one
        return logits.index_fill(-1, torch.tensor([1]), -torch.inf) if of_layers else logits

    monkeypatch.setattr(Model, "head", cut_off)
    with pytest.raises(InputError, match="cross_entropy read at layer 0 is not finite in block 3"):
        probing.probe(model, tokens, lens_fraction=1.0)


def test_files_that_do_not_belong_together_are_not_merged(llama, build_model, draw):
    tokens = draw(4, 8)
    a, b = (probing.probe(llama, tokens, shard=f"{i}/2") for i in range(2))
    other = probing.probe(build_model("gpt2"), tokens, shard="1/2")
    with pytest.raises(InputError, match="different model cannot be merged"):
        probing.merge([a, other])
    with pytest.raises(InputError, match="different corpus"):
        probing.merge([a, probing.probe(llama, tokens + 1, shard="1/2")])
    with pytest.raises(InputError, match="shard 0/2 is in two of the files"):
        probing.merge([a, b, a])
    with pytest.raises(InputError, match="shards of 2 and of 4"):
        probing.merge([a, probing.probe(llama, tokens, shard="1/4")])
    with pytest.raises(InputError, match="nothing to merge"):
        probing.merge([])


def test_files_that_are_no_probe_files_are_refused(tmp_path):
    import xarray as xr

    with pytest.raises(InputError, match="does not exist"):
        probing.open(tmp_path / "none.nc")
    (tmp_path / "text.nc").write_text("no NetCDF")
    with pytest.raises(InputError, match="no readable NetCDF"):
        probing.open(tmp_path / "text.nc")
    xr.Dataset({"x": 1}).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    with pytest.raises(InputError, match="not a probe file"):
        probing.open(tmp_path / "other.nc")
