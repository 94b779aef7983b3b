"""Loading by name: what is there loads, what is not is refused at once and by name."""

import json
import time

import pytest
import torch
from transformers import BertConfig, LlamaConfig, LlamaForCausalLM

from companion import models
from companion.errors import InputError
from companion.models.sources import load, weights
from companion.runtime import Runtime

CPU = Runtime.choose("cpu")
CONFIG = LlamaConfig(
    vocab_size=50,
    hidden_size=16,
    intermediate_size=24,
    num_hidden_layers=2,
    num_attention_heads=2,
    num_key_value_heads=2,
)


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    LlamaForCausalLM(CONFIG).save_pretrained(tmp_path / "m16-ell2")
    return tmp_path / "m16-ell2"


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def test_a_folder_loads_in_the_runtimes_dtype_and_names_its_parts(folder, capfd):
    model = models.load_model(str(folder), Runtime.choose("cpu", "bfloat16"))
    assert (model.m, model.ell, model.V, model.family) == (16, 2, 50, "llama")
    assert model.dtype == torch.bfloat16
    assert model.final_norm is model.net.model.norm
    assert model.unembedding is model.net.lm_head
    assert model.tokenizer is None
    assert not model.net.training
    assert capfd.readouterr() == ("", "")


def test_ladder_models_load_by_name(folder, monkeypatch):
    monkeypatch.setattr(load, "LADDER", folder.parent)
    assert models.ladder_models() == ["ladder:m16-ell2"]
    assert models.load_model("ladder:m16-ell2", CPU).ell == 2
    with pytest.raises(InputError, match="'ladder:no' is not embedded; there are: ladder:m16-ell2"):
        models.load_model("ladder:no", CPU)


def test_revisions_on_this_machine_are_subfolders(folder, monkeypatch):
    for revision, std in [("step0", 0.1), ("step8", 0.2), ("step16", 0.4)]:
        net = LlamaForCausalLM(CONFIG)
        torch.nn.init.normal_(net.lm_head.weight, std=std)
        net.save_pretrained(folder / "series" / revision)
    monkeypatch.setattr(load, "LADDER", folder)
    early, late = (models.load_model(f"ladder:series@{r}", CPU) for r in ("step0", "step8"))
    assert late.net.lm_head.weight.std() > 1.5 * early.net.lm_head.weight.std()
    assert models.load_model(f"{folder}/series@step8", CPU).ell == 2
    for asked in (f"{folder}/series", "ladder:series@step4"):
        with pytest.raises(InputError, match="no such revision, there are step0, step8, step16"):
            models.load_model(asked, CPU)


def test_a_training_of_the_ladder_without_a_step_is_its_last(folder, monkeypatch, capsys):
    for revision in ("step8", "step16"):
        LlamaForCausalLM(CONFIG).save_pretrained(folder / "series" / revision)
    monkeypatch.setattr(load, "LADDER", folder)
    alone, last = (models.load_model(n, CPU) for n in ("ladder:series", "ladder:series@step16"))
    assert torch.equal(alone.net.lm_head.weight, last.net.lm_head.weight)
    assert "ladder:series@step16" in capsys.readouterr().err


def test_a_missing_model_says_where_it_was_looked_for_at_once(offline):
    start = time.monotonic()
    with pytest.raises(InputError, match=r"not in the cache '.*hub' and the .*Hub cannot be"):
        models.load_model("nobody/nothing", CPU)
    assert time.monotonic() - start < 5


def test_names_that_cannot_be_are_refused(tmp_path, offline):
    with pytest.raises(InputError, match="no Hub id"):
        models.load_model("/no/such/folder", CPU)
    with pytest.raises(InputError, match=r"has no config\.json"):
        models.load_model(str(tmp_path), CPU)


def test_an_encoder_is_refused_before_its_weights_are_read(tmp_path):
    BertConfig(architectures=["BertForMaskedLM"]).save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"\(bert\) is an encoder"):
        models.load_model(str(tmp_path), CPU)


@pytest.mark.parametrize("damage", [lambda raw: raw[:-100], lambda raw: b"<html>", lambda raw: b""])
def test_the_corrupt_file_among_several_is_named(folder, damage):
    (folder / "model.safetensors").unlink()
    LlamaForCausalLM(CONFIG).save_pretrained(folder, max_shard_size="8KB")
    file = sorted(folder.glob("model-*.safetensors"))[1]
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(InputError, match=rf"corrupt: file '.*{file.name}' .*put a whole copy"):
        models.load_model(str(folder), CPU)
    assert file.exists()


def test_a_corrupt_download_is_put_aside(folder, tmp_path, monkeypatch, offline):
    home = tmp_path / "hub" / "models--some--one"
    (home / "snapshots").mkdir(parents=True)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("abc")
    folder.rename(home / "snapshots" / "abc")
    for name in ("constants.HF_HUB_CACHE", "file_download.HF_HUB_CACHE"):
        monkeypatch.setattr(f"huggingface_hub.{name}", str(tmp_path / "hub"), raising=False)
    assert models.load_model("some/one", CPU).ell == 2
    file = home / "snapshots" / "abc" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"is now 'model\.corrupt': call again to fetch it"):
        models.load_model("some/one", CPU)
    assert not file.exists()
    assert file.with_suffix(".corrupt").exists()


def test_weights_of_another_configuration_are_refused(folder):
    config = json.loads((folder / "config.json").read_text())
    config["num_hidden_layers"] = 3
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"lack 9 tensors, first 'model\.layers\.2"):
        models.load_model(str(folder), CPU)


def test_code_of_a_repository_is_never_run(folder):
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "evil.Config"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text("raise SystemExit('ran')")
    with pytest.raises(InputError, match="could not be opened"):
        models.load_model(str(folder), CPU)


def test_a_device_map_needs_accelerate(folder, monkeypatch):
    monkeypatch.setattr(weights, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r'accelerate: pip install "depth-companion\[spread\]"'):
        models.load_model(str(folder), CPU, device_map="auto")


def test_a_device_map_that_is_none_is_refused(folder):
    pytest.importorskip("accelerate")
    with pytest.raises(InputError, match=r"'m16-ell2'|could not be loaded.*found nowhere"):
        models.load_model(str(folder), CPU, device_map="nowhere")


def test_capture_removes_its_hooks(folder):
    model = models.load_model(str(folder), CPU)
    stream = models.capture(model, torch.ones(1, 5, dtype=torch.long), models.find_parts(model))
    assert stream.h.shape == (3, 1, 5, 16)
    for module in model.net.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
    assert "forward" not in vars(model.owner)


def test_a_broken_configuration_or_tokenizer_is_refused_with_its_reason(folder):
    config = folder / "config.json"
    whole = config.read_text()
    for broken, words in [('"hidden_size": 17', "hidden size"), ('"hidden_size": "x"', "got str")]:
        config.write_text(whole.replace('"hidden_size": 16', broken))
        with pytest.raises(InputError, match=f"could not be opened: .*{words}"):
            models.load_model(str(folder), CPU)
    config.write_text(whole)
    (folder / "tokenizer.json").write_text('{"half": ')
    with pytest.raises(InputError, match=r"the tokenizer of .* could not be read"):
        models.load_model(str(folder), CPU)


def test_an_empty_name_is_refused():
    with pytest.raises(InputError, match="'' is no name"):
        models.load_model("", CPU)
