"""`companion trace`: figures, file, and what it says to bad input."""

import json

import pytest
import torch
import xarray as xr
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from companion import cli

FACTS = '- {prompt: "let {subject} be", subject: pi, target: " 3.1"}\n'


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A folder in Hub layout with a tiny random model and a byte-level tokenizer."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    folder = tmp_path_factory.mktemp("tiny")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE(vocab={w: i for i, w in enumerate(alphabet)}, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=inner).save_pretrained(folder)
    shape = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32}
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=256, bos_token_id=None, eos_token_id=None, **shape)
    GPT2LMHeadModel(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture
def facts(tmp_path):
    path = tmp_path / "facts.yaml"
    path.write_text(FACTS, encoding="utf-8")
    return str(path)


@pytest.fixture
def companion(monkeypatch, capsys):
    """Run the command; give exit code, standard output and standard error."""

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["companion", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        said = capsys.readouterr()
        return left.value.code or 0, said.out, said.err

    return run


def test_trace_writes_a_file_and_tells_what_is_known(companion, model, facts, tmp_path):
    out = tmp_path / "trace.nc"
    code, said, _ = companion("trace", model, "--facts", facts, "--out", out, "--draws", 2)
    assert code == 0
    assert "'let pi be' -> ' 3.1'" in said
    assert "0 of 1 facts known" in said
    with xr.open_dataset(out, engine="h5netcdf") as stored:
        assert dict(stored.sizes) == {"prompt": 1, "noise": 2, "layer": 3, "token": 9}
        assert json.loads(stored.attrs["provenance"])["parameters"]["draws"] == 2


def test_json_holds_the_figures_of_every_fact(companion, model, facts, tmp_path):
    options = ("--draws", 1, "--max-rank", 256, "--json")
    code, said, _ = companion(
        "trace", model, "--facts", facts, "--out", tmp_path / "t.nc", *options
    )
    (fact,) = json.loads(said)["facts"]
    assert code == 0
    assert 0 < fact["clean"] < 1
    assert fact["known"] == (fact["clean"] > fact["corrupted"])
    assert fact["best"]["probability"] >= fact["corrupted"]


def test_an_estimate_costs_nothing_and_writes_nothing(companion, model, facts, tmp_path):
    out = tmp_path / "t.nc"
    code, said, _ = companion("trace", model, "--facts", facts, "--out", out, "--estimate")
    assert code == 0
    assert "1 facts: about" in said
    assert not out.exists()


def test_what_is_there_is_refused_or_taken_up(companion, model, facts, tmp_path):
    command = ("trace", model, "--facts", facts, "--out", tmp_path / "t.nc", "--known-only")
    assert companion(*command)[0] == 0
    code, _, said = companion(*command)
    assert code == 2
    assert "is there already" in said
    assert companion(*command, "--resume")[0] == 0
    assert companion(*command, "--overwrite")[0] == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--facts": "nowhere.yaml"}, "no facts file 'nowhere.yaml'; packaged facts: python"),
        ({"--out": "trace.csv"}, "must end in .nc"),
        ({"--window": "2"}, "window 2.0 must be between 0 and 1"),
        ({"--device": "tpu"}, "device 'tpu' is unknown"),
        ({"--draws": "0"}, "draws 0 must be 1 or more, whole"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_two(companion, model, facts, tmp_path, change, message):
    options = {"--facts": facts, "--out": str(tmp_path / "t.nc")} | change
    code, _, said = companion("trace", model, *(part for pair in options.items() for part in pair))
    assert code == 2
    assert said.startswith("error: ")
    assert message in said
    assert len(said.strip().splitlines()) == 1
    assert not (tmp_path / "t.nc").exists()


def test_a_missing_model_is_named(companion, facts, tmp_path):
    code, _, said = companion("trace", "ladder:none", "--facts", facts, "--out", tmp_path / "t.nc")
    assert code == 2
    assert "'ladder:none' is not embedded" in said
