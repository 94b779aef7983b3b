"""More than forty families, certified and measured without per-family code, against a slow oracle.

In float64, but for the one family whose code does not run in it.
"""

import json
import math

import numpy as np
import pytest

from benchmarks import families
from benchmarks.tiny_families import FAMILIES, OTHERS
from companion import probing
from companion.errors import InputError
from companion.files import stored
from companion.probing.dataset import BY_NAME
from companion.statistics.intervals import clustered_mean
from companion.statistics.streaming import QUANTILES, STATISTICS, Bins

WITHOUT_PARTS = {"bloom", "jamba", "lfm2", "mpt", "opt_350m_style", "qwen3_5"}
SINGLE = {"xglm"}
HEADS = {"cohere": "scaled by 0.25", "granite": "scaled by 0.125", "gemma2": "not linear"}


def test_every_statistic_agrees_with_the_oracle(family, build_model, tokens, oracle):
    dtype, close = ("float32", 2e-3) if family in SINGLE else ("float64", 1e-6)
    model = build_model(family, dtype)
    result = probing.probe(model, tokens, lens="both", sink_ratio=1e9)
    first = np.zeros(tokens.shape, bool)
    first[:, 0] = True
    block = np.arange(tokens.numel()) // tokens.shape[1]
    groups = {"rest": ~first.ravel(), "first": first.ravel()}
    expected = oracle(model, tokens)
    cosines = expected.pop("cosines")[:, :, groups["rest"]].mean(-1)
    np.testing.assert_allclose(result.update_correlation, cosines, atol=close)
    for name, values in expected.items():
        for group, members in groups.items():
            measured = result[name].sel(group=group)
            _assert_statistics(measured, values[:, members], block[members], name, close)
    certificate = json.loads(result.attrs["certificate"])
    assert max(certificate[check] for check in ("replay", "lens", "future")) < close
    assert certificate["head"].startswith(HEADS.get(family, ""))
    assert (certificate["final_norm"] is None) == (family == "opt_350m_style")
    assert ("attention_norm" in result) == (family not in WITHOUT_PARTS)


def _assert_statistics(measured, values, block, name, close):
    layers = measured.isel(layer=slice(len(values))) if "layer" in measured.dims else measured
    for row, (x, told) in enumerate(zip(values, np.atleast_2d(layers.values), strict=True)):
        there = ~np.isnan(x)
        told = dict(zip(STATISTICS, told, strict=True))
        assert told["count"] == there.sum()
        x, clusters = x[there], block[there]
        if not len(x):
            continue
        expected = {"mean": x.mean(), "variance": x.var(ddof=1), "min": x.min(), "max": x.max()}
        expected["sem"] = clustered_mean(x, clusters).stderr
        for statistic, value in expected.items():
            np.testing.assert_allclose(
                told[statistic],
                value,
                rtol=close,
                atol=close / 10,
                err_msg=f"{name} {row} {statistic}",
            )
        _assert_quantiles(told, np.sort(x), BY_NAME[name], close)


def _assert_quantiles(told, ranked, quantity, close):
    """Off by no more than one bin from the order statistics on either side."""
    number = Bins(*np.zeros((2, 1)), np.zeros(1, bool)).number
    for level in QUANTILES:
        rank = level * len(ranked)
        low, high = ranked[math.ceil(rank) - 1], ranked[min(math.floor(rank), len(ranked) - 1)]
        if quantity.logarithmic:
            factor = (quantity.high / quantity.low) ** (1 / number)
            low, high = low / factor, high * factor
        else:
            width = (quantity.high - quantity.low) / number
            low, high = low - width, high + width
        assert low - close <= told[f"q{round(100 * level):02d}"] <= high + close


def test_a_number_format_that_a_family_cannot_do_is_refused(build_model):
    with pytest.raises(InputError, match=r"'xglm' \(xglm\) does not run .* float64 .*dtype"):
        build_model("xglm", "float64")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_lower_precision_passes_its_certificate(dtype, build_model):
    for family in ("llama", "gemma2", "gpt_neox", "opt_350m_style"):
        certificate = probing.certify(build_model(family, dtype))
        assert certificate["lens"] <= certificate["tolerance"]


def test_parts_of_the_update_have_the_blocks_own_factor(build_model, tokens):
    from companion.models import capture, find_parts

    model = build_model("granite", "float64")
    parts = find_parts(model)
    assert (parts.attention, parts.mlp, parts.factor) == ("self_attn", "mlp", 0.5)
    stream = capture(model, tokens, parts)
    update = (stream.h[1:] - stream.h[:-1]).norm(dim=-1)
    attention, mlp = stream.part_norms
    assert (update <= attention + mlp + 1e-5).all()
    assert (update >= (attention - mlp).abs() - 1e-5).all()


def test_the_stored_table_is_of_these_families_and_says_what_the_tests_say():
    record = json.loads(stored("families.json").read_text("utf-8"))
    rows = {row["family"]: row for row in record["rows"]}
    assert set(rows) == set(FAMILIES | OTHERS)
    certified = {name for name, row in rows.items() if row["supported"]}
    assert set(FAMILIES) <= certified
    assert len(certified) >= 60
    assert {n for n in FAMILIES if not rows[n]["split"]} == WITHOUT_PARTS
    assert all(row["why"].count("\n") == 0 for row in rows.values() if not row["supported"])


@pytest.mark.parametrize("family", ["mamba", "bert"])
def test_a_family_is_tried_anew(family):
    row = families.tried(family)
    assert row["supported"] is (family == "mamba")
    assert ("encoder" in row.get("why", "")) is (family == "bert")
