"""Rows from data sets, and verdicts and sentences from planted rows with opposite outcomes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from companion.evidence.across_models import claims, comparison, regimes, report
from companion.evidence.across_models.row import LADDER, REAL, UNTRAINED, LensNumbers, Row, row
from companion.evidence.calibration import Verdict, quantised
from companion.evidence.calibration.statistics import READINGS
from companion.evidence.claims import NOT_REPRODUCED, NOT_TESTABLE, REPRODUCED
from companion.interventions import ablate
from companion.interventions.costs import share
from companion.probing import probe
from companion.probing.beside.resampling import LENSES
from companion.probing.beside.twins import Twins
from companion.probing.summaries import evenness, middle_mean
from companion.runtime import Runtime
from companion.statistics.intervals import Interval

RUNTIME = Runtime.choose("cpu", seed=4)


@pytest.fixture(autouse=True)
def _judged_by_ranges_alone(as_if_calibrated):
    """What calibration says of a statistic is tested elsewhere."""


def generator():
    return np.random.default_rng(0)


def near(x, half=0.01):
    return Interval(x, x - half, x + half)


def planted(name, ell=16, kind=REAL, theta=0.2, even=0.9, cosine=0.1, fall=0.5, **changes):
    blank = kind == UNTRAINED
    nothing, fall = (
        LensNumbers(near(1.0), None, None),
        LensNumbers(near(0.1), near(fall), near(0.8)),
    )
    planned = Row(
        name=name,
        kind=kind,
        family="llama",
        ell=ell,
        m=64,
        tokens=4096,
        documents=40,
        corpus="english",
        loss=near(3.0),
        rotation=near(theta),
        evenness=near(even),
        cosines=np.array([[x] * 7 for x in near(cosine)]),
        kept=near(0.9),
        lenses=dict.fromkeys(LENSES, nothing if blank else fall),
        **dict.fromkeys(("skip", "swap", "parallel"), None if blank else near(0.5)),
        outliers=((0, 3.0),),
    )
    return replace(planned, **changes)


def beside(*real, untrained=(), ladder=None, missing=None):
    ladder = [planted("deep", kind=LADDER)] if ladder is None else ladder
    return comparison.Comparison(
        tuple(real), tuple(ladder), {r.name: r for r in untrained}, {}, missing or {}, {}, {}
    )


@pytest.fixture(scope="module")
def tiny(request):
    from transformers import LlamaConfig, LlamaForCausalLM

    from companion.models import Model

    torch.manual_seed(0)
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2}
    net = LlamaForCausalLM(LlamaConfig(num_hidden_layers=8, vocab_size=50, **shape))
    return Model.of(net, RUNTIME, name="tiny")


@pytest.fixture(scope="module")
def measured(tiny):
    tokens = torch.randint(0, 50, (8, 24), generator=torch.Generator().manual_seed(0))
    return probe(tiny, tokens, lens="both"), ablate(tiny, tokens, comparison.KINDS)


def test_a_row_holds_what_the_instruments_say(measured):
    one, disturbed = measured
    found = row("tiny", one, generator(), REAL, disturbed)
    assert (found.ell, found.m, found.family) == (8, 16, "llama")
    assert found.rotation == middle_mean(one)
    assert found.evenness.estimate == evenness(one, generator()).estimate
    assert found.turns.estimate == pytest.approx(8 * found.rotation.estimate)
    assert found.cosines.shape == (3, 3)


def test_a_network_that_knows_nothing_shares_nothing(measured):
    one, disturbed = measured
    found = row("tiny", one, generator(), UNTRAINED, disturbed)
    assert all(numbers.share is None for numbers in found.lenses.values())
    assert (found.skip, found.swap, found.parallel) == (None, None, None)


def test_costs_are_those_of_the_disturbed_blocks(measured):
    one, disturbed = measured
    learned = disturbed.assign(loss_empty=disturbed.loss_clean + 1)
    found = row("tiny", one, generator(), REAL, learned)
    assert found.skip is not None
    assert found.skip.estimate == share(learned, generator()).estimate


def test_a_stored_run_stands_for_its_model_and_the_live_one_checks_it(measured):
    one, _ = measured
    live = Twins({"tiny": one}, {"tiny": one}, {"gone": "no network"})
    kept = Twins({"tiny": one}, {}, {"late": "no stored result"})
    c = comparison.compare(Twins({}, {}, {}), live, kept, generator())
    assert [r.name for r in c.real] == ["tiny"]
    assert list(c.live) == ["tiny"]
    assert [r.kind for r in c.rows] == [REAL, UNTRAINED]
    assert set(c.missing) == {"gone", "late"}
    assert "agrees with the stored one" in report.check(c)
    assert "gone (no network)" in report.absent(c)


def test_what_an_untrained_twin_passes_is_no_evidence():
    twin = planted("a", kind=UNTRAINED)
    told = claims.updates_are_weakly_correlated(beside(planted("a"), untrained=[twin]))
    assert told.verdict == NOT_TESTABLE
    assert "an untrained network" in told.untestable
    apart = replace(twin, cosines=planted("a", cosine=0.6).cosines)
    alone = claims.updates_are_weakly_correlated(beside(planted("a"), untrained=[apart]))
    assert alone.verdict == REPRODUCED


def test_without_a_twin_what_passes_is_no_evidence_either():
    told = claims.updates_are_weakly_correlated(beside(planted("a")))
    assert told.verdict == NOT_TESTABLE
    assert "no untrained network stands beside" in told.untestable


def test_a_contradiction_counts_whatever_the_twin_does():
    twin = planted("a", kind=UNTRAINED, cosine=0.6)
    for untrained in ([], [twin], [replace(twin, cosines=planted("a").cosines)]):
        c = beside(planted("a", cosine=0.6), untrained=untrained)
        assert claims.updates_are_weakly_correlated(c).verdict == NOT_REPRODUCED


@pytest.mark.parametrize("lens", LENSES)
@pytest.mark.parametrize(
    ("fall", "verdict"), [(0.5, REPRODUCED), (-0.3, NOT_REPRODUCED), (4, NOT_REPRODUCED)]
)
def test_a_middle_that_raises_the_loss_or_removes_too_much_is_contradicted(lens, fall, verdict):
    claim = claims.loss_falls_gradually(beside(planted("a", fall=fall)), lens)
    assert len(claim.measurements) == (2 if verdict == REPRODUCED else 1)
    assert claim.verdict == verdict


@pytest.mark.parametrize(("power", "verdict"), [(-1.0, REPRODUCED), (-0.5, NOT_REPRODUCED)])
def test_three_depths_give_an_exponent(power, verdict):
    real = [planted(f"a{ell}", ell=ell, theta=3 * ell**power) for ell in (8, 16, 32, 64)]
    claim = claims.rotation_falls_inversely(beside(*real))
    assert claim.measurements[0].estimate == pytest.approx(power)
    assert claim.verdict == verdict


def test_two_models_give_none_and_the_reason_has_the_numbers():
    real = [planted("a", ell=16, theta=0.4), planted("b", ell=32, theta=0.2)]
    claim = claims.rotation_falls_inversely(beside(*real))
    assert claim.verdict == NOT_TESTABLE
    assert "exponent -1.00" in claim.untestable
    assert "moves it by 0.26" in claim.untestable  # ln 1.2 / ln 2


def test_without_a_real_model_nothing_is_testable():
    c = beside(missing={"a": "no network"})
    assert {claim.verdict for claim in claims.judge(c)} == {NOT_TESTABLE}
    assert report.answer(c) == "not testable here"
    assert "nothing to compare" in report.likeness(c)


@pytest.mark.parametrize(("cosine", "answer"), [(0.1, "yes"), (0.9, "in part")])
def test_the_answer_follows_the_ladders_range(cosine, answer):
    c = beside(planted("a", cosine=cosine))
    assert report.answer(c) == answer
    where = report.likeness(c).partition("outside in")[2]
    assert ("cosine of neighbours" in where) == (answer != "yes")


def test_keys_are_unique_and_every_sentence_is_there():
    c = beside(planted("a"), untrained=[planted("a", kind=UNTRAINED)])
    judged = claims.judge(c)
    assert len({claim.key for claim in judged}) == len(judged)
    c = replace(c, real=(), ladder=())
    told = report.words(c, judged, {})
    assert all(isinstance(text, str) and text for text in told.values())


def test_error_bands_are_relative_for_rotation_and_absolute_for_evenness():
    shift = {"largest": 0.05, "largest_relative": 0.1}
    bands = dict.fromkeys(("middle_rotation", "rotation_evenness"), shift)
    errors = {"schemes": {"Q4_1": {"model": "a"}}, "bands": {"Q4_1": bands}}
    one = planted("a")
    assert report.error_band(errors, one, "rotation times blocks") == pytest.approx(
        (0.9 * 3.2, 1.1 * 3.2)
    )
    assert report.error_band(errors, one, "evenness") == pytest.approx((0.85, 0.95))
    assert report.error_band(errors, one, "swap / skip") is None
    assert report.error_band(errors, planted("b"), "evenness") is None
    assert "a: rotation times blocks ± 0.32" in report.band_words(errors, beside(one))


def test_the_table_puts_a_twin_below_its_model():
    c = beside(planted("a"), untrained=[planted("a", kind=UNTRAINED)])
    frame = report.table(c, ["evenness", "skip / equal share"])
    assert list(frame.index) == ["deep", "a", "a, untrained"]
    assert frame.loc["a, untrained", "skip / equal share"] == "–"
    assert frame.loc["a", "layers that stand out"] == "0 (3.0 times)"


@pytest.mark.usefixtures("as_if_calibrated")
@pytest.mark.parametrize(
    ("kept", "verdict"), [(0.9, "reproduced"), (0.1, "not reproduced"), (0.495, "undecided")]
)
def test_a_cosine_that_fades_is_no_shared_direction(kept, verdict):
    twin = planted("a", kind=UNTRAINED, cosine=-0.5)
    compared = beside(planted("a", cosine=0.3, kept=near(kept)), untrained=[twin])
    assert claims.updates_share_a_direction(compared).verdict == verdict


def test_the_calibrated_reading_widens_by_what_quantisation_may_have_moved(monkeypatch):
    """Of a planted calibration that calls a swap / skip below 0.3 averaging, above it stages."""

    def called(statistics, ell):
        kind = "ensemble" if statistics["swap / skip"] < 0.3 else "compositional"
        return Verdict((kind,), {}, ("swap / skip",), ())

    for module in (regimes, quantised):
        monkeypatch.setattr(module, "verdict_for", called)
    real = planted("a", swap=near(0.25), calibrated={"swap / skip": 0.25})
    bands = {"swap_over_skip": {"largest": 0.1, "largest_relative": 0.3}}
    errors = {"schemes": {"Q4_1": {"model": "a"}}, "bands": {"Q4_1": bands}}
    cells = regimes.table(beside(real, ladder=[]), errors).loc["a"]
    assert cells["left possible"] == "ensemble averaging"
    assert cells["within quantisation's error"] == "ensemble averaging or compositional assembly"
    assert "also compositional" in regimes.sentence(beside(real), errors)
    monkeypatch.setattr(quantised, "errors", lambda: errors)
    assert "compositional" in quantised.sentence({"swap / skip": 0.25}, 16, "a")
    assert "changes nothing" in quantised.sentence({"swap / skip": 0.1}, 16, "a")
    assert quantised.sentence({"swap / skip": 0.25}, 16, "b") == ""
    apart = planted("b", swap=near(0.25), calibrated={"swap / skip": 0.25})
    assert "also" not in regimes.sentence(beside(apart), errors)


def test_a_model_is_read_by_all_calibrated_statistics_that_it_has(measured):
    one, disturbed = measured
    assert set(row("tiny", one, generator()).calibrated) == set(READINGS)
    assert "swap / skip" in row("tiny", one, generator(), REAL, disturbed).calibrated
