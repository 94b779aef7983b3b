"""What the chapter says of sweeps and seeds is what the tables hold."""

import numpy as np
import pandas as pd
import pytest

from companion.evidence.scaling import ladder
from companion.ladder import analysis
from companion.scaling.comparison.effective import effective_exponents


def test_the_cost_of_one_rate_for_all_depths():
    rows = [
        (ell, rate, loss + extra, "inverse-sqrt-depth")
        for ell, extra in [(2, 0.0), (8, 1.0)]
        for rate, loss in [(1e-3, 4.0), (4e-3, 3.5), (8e-3, 3.6 - ell / 10)]
    ]
    rows.append((8, 4e-3, 1.0, "one"))
    sweep = pd.DataFrame(rows, columns=["ell", "learning_rate", "loss", "branch_scale"])
    said = ladder.tuning_sentence(sweep, 4e-3)
    assert "2 blocks 0.008 (0.100 nats/token better), 8 blocks 0.008 (0.700" in said
    assert "differs by 0.600" in said


def test_the_cost_of_branches_that_start_alike():
    rows = [
        (ell, rate, loss + rate * (ell == 2), scale)
        for scale, losses in {"one": (5.0, 5.5), "inverse-sqrt-depth": (5.1, 4.5)}.items()
        for ell, loss in zip((2, 16), losses, strict=True)
        for rate in (0.0, 0.5)
    ]
    sweep = pd.DataFrame(rows, columns=["ell", "learning_rate", "loss", "branch_scale"])
    said = ladder.branches_sentence(sweep)
    assert "2 blocks -0.100, 16 blocks +1.000 nats/token" in said
    assert "then that of 2 blocks, with scaled branches that of 16." in said


def test_the_origin_of_the_embedded_models():
    stamp = {
        "baselines": {"unigram": 6.0, "bigram": 5.0},
        "device": "a machine",
        "runtime": {"dtype": "bfloat16"},
        "corpus": {"train": {"tokens": 1_000_000}, "held_out": {"tokens": 2000}},
    }
    cited = ladder.origin(stamp, pd.DataFrame({"loss": [3.0, 2.5]}))
    assert cited == {
        "unigram": 6.0,
        "bigram": 5.0,
        "trained-on": "a machine, bfloat16",
        "train-tokens": "1,000,000",
        "held-tokens": "2,000",
        "best": 2.5,
    }


def test_losses_of_the_first_seed_in_a_square():
    rows = [
        (64.0, ell, D, seed, ell + D + seed) for ell in (2, 4) for D in (8, 16) for seed in (0, 1)
    ]
    table = pd.DataFrame(rows, columns=["m", "ell", "D", "seed", "loss"]).sample(
        frac=1, random_state=0
    )
    square = analysis.losses(table)
    assert square.to_numpy().tolist() == [[10, 18], [12, 20]]
    assert square.index.tolist() == [(64, 2), (64, 4)]
    assert square.columns.tolist() == [8, 16]


def test_seed_noise_is_pooled_over_shapes():
    generator = np.random.default_rng(0)
    rows = [
        (64, ell, 1e6, seed, 5 - ell / 10 + 0.05 * generator.standard_normal())
        for ell in (2, 4)
        for seed in range(400)
    ]
    table = pd.DataFrame([*rows, (32, 2, 1e6, 0, 6.0)], columns=["m", "ell", "D", "seed", "loss"])
    noise = analysis.seed_noise(table)
    assert noise["seeds"].tolist() == [400, 400]
    assert noise["deviation"].tolist() == pytest.approx([0.05, 0.05], rel=0.1)
    assert "deviates by 0.05" in ladder.noise_sentence(noise)
    assert "No shape" in ladder.noise_sentence(analysis.seed_noise(table.iloc[-1:]))


def trained(alpha, noise=1e-4, tokens=(1e6, 2e6), seeds=3, depths=(2, 4, 8, 16, 32)):
    """Losses of a planted exponent in depth, one for each number of training tokens."""
    alphas = np.broadcast_to(alpha, len(tokens))
    generator = np.random.default_rng(0)
    rows = [
        {"m": 64, "ell": ell, "D": D, "seed": seed, "learning_rate": 4e-3}
        | {"loss": 4 + ell**-a + noise * generator.standard_normal()}
        for D, a in zip(tokens, alphas, strict=True) for seed in range(seeds) for ell in depths
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_the_depth_exponent_is_judged_at_the_longest_training():
    claim = ladder.inverse_depth_at_the_end(trained([2.0, 1.0]))
    assert claim.verdict == "reproduced"
    assert claim.measurements[0].estimate == pytest.approx(1, abs=0.02)
    assert ladder.inverse_depth_at_the_end(trained([1.0, 2.0])).verdict == "not reproduced"
    assert ladder.inverse_depth_at_the_end(trained(1.0, noise=0.3)).verdict != "reproduced"


def test_a_ladder_too_small_to_judge_says_what_it_lacks():
    few = ladder.inverse_depth_at_the_end(trained(1.0, seeds=2))
    assert few.untestable == "it takes 3 seeds, this run has 2"
    falling = trained(1.0).assign(loss=lambda t: 4 + 0.1 * np.log(t["ell"]))
    assert "not better" in ladder.inverse_depth_at_the_end(falling).untestable


def test_the_course_of_the_exponent_is_told_with_what_follows():
    moving = ladder.exponents_sentence(effective_exponents(trained([2.0, 1.0])))
    assert "at 1.0 million tokens" in moving
    assert "It moves with training: a fit over all lengths mixes" in moving
    still = ladder.exponents_sentence(effective_exponents(trained(1.0, noise=0.02)))
    assert "The intervals overlap" in still


def test_the_longest_complete_length_decides_and_not_a_longer_one_with_gaps():
    table = trained([2.0, 1.0, 3.0], tokens=(1e6, 2e6, 4e6))
    gaps = table[(table["D"] < 4e6) | (table["seed"] == 0) | (table["ell"] < 8)]
    assert ladder.longest_complete(gaps)["D"].unique().tolist() == [2e6]
    assert ladder.inverse_depth_at_the_end(gaps).verdict == "reproduced"
    assert ladder.longest_complete(trained(1.0, seeds=2))["D"].unique().tolist() == [2e6]


def test_what_is_trained_at_the_longest_is_counted():
    told = ladder.seeds_sentence(trained(1.0, seeds=2, depths=(2, 4)))
    assert told == "Runs at 2,000,000 tokens: 2 blocks 2, 4 blocks 2."
