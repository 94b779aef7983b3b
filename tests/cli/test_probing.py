"""The commands `probe` and `merge` on a tiny model in a folder."""

import json

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from typer.testing import CliRunner

from companion import probing
from companion.cli import app
from companion.cli.progress import Lines

ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("tiny")
    vocabulary = {letter: number for number, letter in enumerate([*ALPHABET, "<end>"])}
    bytes_only = Tokenizer(models.BPE(vocabulary, []))
    bytes_only.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_only.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=bytes_only, eos_token="<end>").save_pretrained(path)
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 32}
    LlamaForCausalLM(LlamaConfig(vocab_size=257, **sizes, **heads)).save_pretrained(path)
    (path / "text.jsonl").write_text(
        "\n".join(json.dumps({"text": f"document {n} " * 9}) for n in range(20))
    )
    return path


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def probe(folder, out, *words):
    corpus = folder / "text.jsonl"
    return run("probe", folder, "--corpus", corpus, "--out", out, "--device", "cpu", *words)


def test_probe_prints_a_table_and_writes_a_file(folder, tmp_path):
    result = probe(folder, tmp_path / "a.nc", "--tokens", 640)
    assert result.exit_code == 0, result.output
    assert "640 tokens" in result.stdout
    assert "cross_entropy" in result.stdout
    assert probing.open(tmp_path / "a.nc").attrs["tokens"] == 640


def test_a_complete_file_is_left_alone_with_one_plain_line(folder, tmp_path):
    first = probe(folder, tmp_path / "a.nc", "--tokens", 640)
    again = probe(folder, tmp_path / "a.nc", "--tokens", 640, "--resume")
    assert again.exit_code == 0, again.output
    assert again.stdout == first.stdout
    assert again.stderr.startswith("note: ")
    assert again.stderr.endswith("is complete: there is nothing to do\n")
    other = probe(folder, tmp_path / "a.nc", "--tokens", 320, "--resume")
    assert other.exit_code == 2
    assert "cannot resume" in other.stderr


def test_shards_merge_on_the_command_line(folder, tmp_path):
    files = [tmp_path / f"{i}.nc" for i in range(2)]
    for i, file in enumerate(files):
        assert probe(folder, file, "--shard", f"{i}/2", "--lens-fraction", 0.5).exit_code == 0
    half = run("merge", files[1], "--out", tmp_path / "half.nc")
    assert half.stderr == "note: shards not among the files: 0/2\n"
    result = run("merge", *files, "--out", tmp_path / "all.nc", "--json")
    assert result.stderr == ""
    figures = json.loads(result.stdout)
    assert figures["tokens"] == sum(probing.open(file).attrs["tokens"] for file in files)
    assert len(figures["layers"]["theta"]["mean"]) == 3
    assert figures["layers"]["theta"]["mean"][2] is None
    assert figures["certificate"]["final_norm"] == "LlamaRMSNorm"


def test_an_estimate_says_what_it_costs_and_runs_nothing(folder, tmp_path):
    asked = probe(folder, tmp_path / "a.nc", "--tokens", 640, "--estimate", "--json")
    figures = json.loads(asked.stdout)
    assert figures["tokens"] == 640
    assert figures["seconds"] > 0
    assert figures["memory"] > sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    told = probe(folder, tmp_path / "a.nc", "--tokens", 640, "--estimate", "--lens", "none")
    assert "640 tokens" in told.stdout
    assert "GB of memory" in told.stdout
    assert not list(tmp_path.iterdir())


def test_the_share_of_the_lens_by_cost_can_be_resumed_and_written_compactly(folder, tmp_path):
    words = ("--tokens", 640, "--lens-fraction", "auto")
    done = probe(folder, tmp_path / "a.nc", *words, "--compact")
    assert done.exit_code == 0, done.output
    small = probing.open(tmp_path / "a.nc")
    assert 0 < small.attrs["lens_fraction"] <= 1
    assert not [name for name in small if str(name).startswith("state_")]
    again = probe(folder, tmp_path / "a.nc", *words, "--resume")
    assert "is complete" in again.stderr
    merged = run("merge", tmp_path / "a.nc", "--out", tmp_path / "b.nc")
    assert "compact file has no state" in merged.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--lens", "tuned"], "lens 'tuned' must be one of last_block"),
        (["--lens-fraction", "most"], "lens_fraction 'most' is neither auto nor a number"),
        (["--shard", "2/2"], "shard '2/2' is out of range"),
        (["--until-sem", "theta"], "--until-sem 'theta' must read like name=value"),
        (["--until-sem", "loss=1"], "until_sem names 'loss'"),
        (["--block-length", 64], "exceed the context"),
        (["--corpus", "nowhere"], "corpus 'nowhere'"),
        (["--dtype", "int3"], "dtype 'int3' is unknown"),
        (["--out", "a.txt"], "must end in .nc"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(folder, tmp_path, words, said):
    result = probe(folder, tmp_path / "a.nc", *words)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_missing_file_to_merge_is_named(tmp_path):
    result = run("merge", tmp_path / "no.nc", "--out", tmp_path / "all.nc")
    assert result.exit_code == 2
    assert "no.nc' does not exist" in result.stderr


def test_progress_away_from_a_terminal_is_plain_lines(capsys, monkeypatch):
    monkeypatch.setattr("companion.cli.progress.LINE_SECONDS", -1.0)
    Lines("tokens")(10, 20)
    assert capsys.readouterr().err == "10 of 20 tokens\n"
