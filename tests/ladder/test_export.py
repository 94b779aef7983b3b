"""What is exported is complete, loads, and says where it comes from."""

import dataclasses

import pandas as pd
import pytest
import torch

from companion.errors import InputError
from companion.ladder import runner
from companion.ladder.export import export


@pytest.fixture
def trained(grid, tmp_path, runtime):
    runner.train(dataclasses.replace(grid, depths=(2,)), tmp_path / "trained", runtime)
    return tmp_path / "trained"


def test_exported_models_load_and_repeat_the_loss_of_the_table(trained, tmp_path, runtime):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    names = export([trained], tmp_path / "out", 32)
    folder = tmp_path / "out" / "ladder" / "m32-ell2"
    assert names == ["ladder.csv", "ladder.json", "ladder/m32-ell2"]
    assert AutoModelForCausalLM.from_pretrained(folder).config.num_hidden_layers == 2
    assert AutoTokenizer.from_pretrained(folder).eos_token == "<|endoftext|>"
    log = pd.read_csv(folder / "loss.csv")
    assert log["step"].tolist() == list(range(1, 33))
    row = pd.read_csv(tmp_path / "out" / "ladder.csv").iloc[-1]
    card = (folder / "README.md").read_text()
    assert f"{row['loss']:.4f} nats/token" in card
    assert "one pass" in card


def test_the_table_joins_several_grids(trained, grid, tmp_path, runtime):
    wide = dataclasses.replace(grid, widths=(64,), depths=(1,), tokens=(2048,))
    runner.train(wide, tmp_path / "wide", runtime)
    export([trained, tmp_path / "wide"], tmp_path / "out", 32)
    table = pd.read_csv(tmp_path / "out" / "ladder.csv")
    assert table[["m", "ell", "D"]].values.tolist() == [[32, 2, 2048], [32, 2, 4096], [64, 1, 2048]]


def test_kept_steps_become_revisions_and_sweeps_a_table(grid, tmp_path, runtime, monkeypatch):
    from companion import models
    from companion.models.sources import load

    kept = dataclasses.replace(grid, depths=(2,), checkpoints=(0, 8))
    swept = dataclasses.replace(grid, depths=(1,), tokens=(2048,), learning_rates=(1e-3, 4e-3))
    runner.train(kept, tmp_path / "kept", runtime)
    runner.train(swept, tmp_path / "swept", runtime)
    names = export([tmp_path / "kept"], tmp_path / "out", 32, 32, [tmp_path / "swept"])
    assert names[:3] == ["ladder.csv", "ladder-trunk.csv", "ladder-sweep.csv"]
    trunk = pd.read_csv(tmp_path / "out" / "ladder-trunk.csv")
    assert trunk["D"].tolist() == [0, 8 * kept.step_tokens]
    assert pd.read_csv(tmp_path / "out" / "ladder-sweep.csv")["learning_rate"].nunique() == 2
    monkeypatch.setattr(load, "LADDER", tmp_path / "out" / "ladder")
    early, late = (models.load_model(f"ladder:m32-ell2@step{n}", runtime) for n in (0, 8))
    assert not torch.equal(early.net.lm_head.weight, late.net.lm_head.weight)
    assert late.tokenizer is not None
    card = (tmp_path / "out" / "ladder" / "m32-ell2" / "README.md").read_text()
    assert f"| 8 | {8 * kept.step_tokens:,} | {trunk['loss'].iloc[-1]:.4f} |" in card


def test_unfinished_grids_and_absent_widths_are_refused(trained, tmp_path):
    with pytest.raises(InputError, match="width 64 is not in the grid"):
        export([trained], tmp_path / "out", 64)
    table = trained / "table.csv"
    table.write_text("\n".join(table.read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(InputError, match="not finished"):
        export([trained], tmp_path / "out", 32)
    with pytest.raises(InputError, match="holds no trained grid"):
        export([tmp_path / "nothing"], tmp_path / "out", 32)
