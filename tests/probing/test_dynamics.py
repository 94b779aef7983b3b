"""Checkpoints are followed in order, resumed, and told apart from strangers."""

import numpy as np
import pytest
import torch
import xarray as xr
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from companion.errors import InputError
from companion.evidence.probes import training_dynamics
from companion.files import read_netcdf
from companion.probing.training import exponents, revisions, track
from companion.runtime import Runtime

CPU = Runtime.choose("cpu", "float32")
OPTIONS = {"tokens": 512, "block_length": 32, "batch_size": 4}


def config(ell):
    return LlamaConfig(
        vocab_size=300,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=ell,
        num_attention_heads=2,
        num_key_value_heads=2,
    )


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """Two models whose weights walk: three checkpoints each, with a tokenizer of bytes."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    root = tmp_path_factory.mktemp("series")
    vocabulary = {c: i for i, c in enumerate(pre_tokenizers.ByteLevel.alphabet())}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    for ell in (2, 4):
        torch.manual_seed(ell)
        net = LlamaForCausalLM(config(ell))
        folder = root / f"ell{ell}"
        for step in (0, 8, 64):
            net.save_pretrained(folder / f"step{step}")
            with torch.no_grad():
                for weight in net.parameters():
                    weight += 0.01 * torch.randn_like(weight)
        PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)
    lines = (f'{{"text": "{"one two three four five six seven " * 4}{i}"}}' for i in range(40))
    (root / "text.jsonl").write_text("\n".join(lines))
    return root


def names(series):
    return ",".join(str(series / f"ell{ell}") for ell in (2, 4))


def test_every_checkpoint_is_what_a_probe_of_it_measures(series):
    from companion.probing.compare_models import probe_one
    from companion.probing.summaries import middle_mean

    options = OPTIONS | {"corpus": str(series / "text.jsonl")}
    followed = track.track_checkpoints(names(series), "step0,step8,step64", CPU, **options)
    assert followed["step"].values.tolist() == [0, 8, 64]
    assert followed["ell"].isel(step=0).values.tolist() == [2, 4]
    assert {k: d.sizes["model"] for k, d in exponents.by_width(followed).items()} == {"m = 16": 2}
    probed = probe_one(f"{series}/ell4@step8", CPU, **options)
    one = followed.sel(model=f"{series}/ell4", step=8)
    assert one["rotation"].sel(bound="estimate") == middle_mean(probed).estimate
    theta = probed["theta"].sel(group="rest", statistic="mean").values
    assert np.array_equal(one["theta"].values, theta, equal_nan=True)
    loss = probed["cross_entropy"].sel(group="rest", statistic="mean", layer=3)
    assert one["loss"].sel(bound="estimate") == float(loss)


def test_an_interrupted_call_continues_without_repeating(series, tmp_path, monkeypatch):
    options = OPTIONS | {"corpus": str(series / "text.jsonl")}
    whole = track.track_checkpoints(names(series), "step0,step8", CPU, **options)

    def stop_at(n):
        def progress(done, total, note=""):
            if done == n:
                raise KeyboardInterrupt

        return progress

    out = tmp_path / "f.nc"
    with pytest.raises(KeyboardInterrupt):
        track.track_checkpoints(
            names(series), "step0,step8", CPU, out=out, progress=stop_at(3), **options
        )
    with pytest.raises(InputError, match="--resume"):
        track.track_checkpoints(names(series), "step0,step8", CPU, out=out, **options)
    with pytest.raises(InputError, match="revisions was"):
        track.track_checkpoints(names(series), "step0,step64", CPU, out=out, resume=True, **options)
    probed = []
    record = track._record
    monkeypatch.setattr(track, "_record", lambda *a: probed.append(a[0]) or record(*a))
    done = track.track_checkpoints(
        names(series), "step0,step8", CPU, out=out, resume=True, **options
    )
    assert probed == [f"{series}/ell4@step8"]
    xr.testing.assert_equal(done, whole)
    kept = read_netcdf(out)
    xr.testing.assert_equal(kept, whole.drop_vars("sketch"))
    assert training_dynamics.alarm_sentence(kept) == training_dynamics.alarm_sentence(whole)
    assert training_dynamics.alarm_sentence(kept) in training_dynamics.origin(kept)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.nc"]
    with pytest.raises(InputError, match="there already"):
        track.track_checkpoints(names(series), "step0,step8", CPU, out=out, **options)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [("step0,main", "'main' has no step"), ("step8,step0", "rising order"), ("", "rising order")],
)
def test_impossible_revisions_are_refused(given, sentence):
    with pytest.raises(InputError, match=sentence):
        track.steps(given)


def walk(checkpoints, generator, straight=0.0):
    """A dataset of weights that walk at random, with a drift."""
    stride = generator.normal(size=(checkpoints, 400)) + straight
    w = np.cumsum(stride, axis=0)
    return xr.Dataset(
        {
            "sketch": (("model", "step", "entry"), w[None]),
            "digest": (("model", "step"), [[str(i) for i in range(checkpoints)]]),
        },
        coords={"model": ["walker"], "step": np.arange(checkpoints), "entry": np.arange(400)},
    )


@pytest.mark.parametrize("straight", [0.0, 0.5, 5.0])
def test_walks_and_straight_paths_raise_no_alarm(straight):
    found = walk(12, np.random.default_rng(0), straight)
    assert (revisions.alarms(found)["alarm"] == "").all()
    assert "all differ" in training_dynamics.alarm_sentence(found)
    assert "too few to tell a path" in training_dynamics.alarm_sentence(found.isel(step=[0, 1]))


def test_steps_are_read_from_names_of_several_kinds():
    names = "stage1-step0,stage1-step1000-tokens4B,stage2-step_2000"
    assert list(track.steps(names).values()) == [0, 1000, 2000]
    assert track.steps("v10,v20") == {"v10": 10, "v20": 20}


def test_the_interval_of_a_loss_knows_how_few_documents_there_are(series):
    """Student's t with clusters - 1 degrees of freedom, as everywhere else, not the normal 1.96."""
    from scipy.stats import t

    from companion.probing.compare_models import probe_one
    from companion.probing.summaries import estimates

    options = OPTIONS | {"corpus": str(series / "text.jsonl")}
    loss = track._record(f"{series}/ell2@step8", CPU, options)["loss"]
    probed = probe_one(f"{series}/ell2@step8", CPU, **options)
    _, sem = estimates(probed, "cross_entropy")
    half = t.ppf(0.975, probed.attrs["clusters"] - 1) * sem[1]
    assert probed.attrs["clusters"] < 20
    assert float(loss[2] - loss[0]) == pytest.approx(half, rel=1e-6)


def test_strangers_swaps_and_repetitions_raise_the_alarm():
    generator = np.random.default_rng(0)
    stranger = walk(8, generator)
    stranger["sketch"][0, 4] = 30 * generator.normal(size=400)
    assert (
        revisions.alarms(stranger).set_index("step")["alarm"][4] == "off the path of its neighbours"
    )
    again = walk(8, generator)
    again["sketch"][0, 5], again["digest"][0, 5] = again["sketch"][0, 2], again["digest"][0, 2]
    odd = revisions.alarms(again).set_index("step")["alarm"]
    assert odd[5] == "the same weights as at step 2"
    assert "2 are not what their names say" in training_dynamics.alarm_sentence(
        again.isel(step=[0, 2, 5])
    )


def test_digests_see_one_changed_weight():
    net = torch.nn.Linear(3000, 2)
    before, some = revisions.digest(net), revisions.sketch(net)
    assert revisions.digest(net) == before
    assert len(some) == 6000 / 24 + 2
    with torch.no_grad():
        net.bias[1] += 1e-6
    assert revisions.digest(net) != before
