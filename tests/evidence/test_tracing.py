"""What is said of a trace: sentences, tables, and the claims, on planted answers."""

import json

import numpy as np

from companion.evidence.disturbed import tracing


def both_needles(planted_trace):
    return planted_trace(prompts=(tracing.NEEDLE, "The Space Needle is in downtown"))


def many(planted_trace, n=12, relations=None):
    return planted_trace((True,) * n, tuple(map(str, range(n))), relations)


def test_roles_are_told_by_layer(planted_trace):
    text = tracing.roles_sentence(planted_trace())
    assert "over 2 known facts" in text
    assert "up to layer 1 of 4" in text
    assert "from layer 2 of 4 on" in text
    nothing = planted_trace(known=(False, False))
    assert "knows none" in tracing.roles_sentence(nothing)
    assert "nothing to hand over" in tracing.exchange_sentence(nothing)


def test_what_is_not_known_is_said(planted_trace):
    dataset = planted_trace(known=(True, False))
    assert tracing.facts_table(dataset).known.tolist() == ["yes", "no: because"]
    assert tracing.known_sentence(dataset).endswith("knows 1 of 2 facts.")


def test_relations_are_counted(planted_trace):
    dataset = planted_trace((True, True, False), tuple("abc"), ["x", "x", "y"])
    assert "best known is x (2 of 2), least y (0 of 1)" in tracing.relations_sentence(dataset)
    table = tracing.relations_table(dataset)
    assert table.loc["x", "known"] == 2
    assert table.loc["x", "handover (share of depth)"] == "0.40 [0.40, 0.40]"
    assert "one relation" in tracing.relations_sentence(planted_trace())


def test_a_step_is_not_gradual_and_equal_steps_are(planted_trace):
    step = many(planted_trace)
    assert tracing.exchange_is_gradual(step).verdict == "not reproduced"
    assert "is 1.00 [1.00, 1.00] in the mean" in tracing.exchange_sentence(step)
    assert "In 12 of 12 facts it is the rise to layer 2." in tracing.exchange_sentence(step)
    even = many(planted_trace)
    even.probability[..., 2] = 0.1 + 0.8 * np.arange(5) / 4
    assert tracing.exchange_is_gradual(even).verdict == "reproduced"


def test_few_known_facts_are_not_judged(planted_trace):
    claim = tracing.exchange_is_gradual(planted_trace())
    assert claim.verdict == "not testable here"
    assert "takes 10 known facts, this run has 2" in claim.untestable


def test_the_papers_probability_is_compared_only_for_its_models(planted_trace):
    dataset = both_needles(planted_trace)
    assert tracing.space_needle(dataset).verdict == "not reproduced"
    right = dataset.assign(probability_clean=dataset.probability_clean * 0 + 0.0106)
    assert tracing.space_needle(right).verdict == "reproduced"
    other = dataset.assign_attrs(model="ladder:m128-ell8")
    assert "this run has ladder:m128-ell8" in tracing.space_needle(other).untestable


def test_the_papers_sentence_is_told_in_both_spellings(planted_trace):
    text = tracing.needle_sentence(both_needles(planted_trace))
    assert text.count("has probability 0.9 (choice 1)") == 2
    assert "not among" in tracing.needle_sentence(planted_trace())


def test_every_sentence_of_a_trace_is_there(planted_trace):
    stamp = {"parameters": {"facts": 2, "draws": 2, "window": 0.1}, "device": "cpu"}
    stamp |= {"time": "2026-01-02T03:04:05", "commit": "abc"}
    dataset = planted_trace().assign_attrs(provenance=json.dumps(stamp))
    found = tracing.words(dataset)
    assert all(text.endswith(".") for text in found.values())
    assert "(4 blocks), 2 facts, 2 draws of noise, 1 layers restored at once" in found["origin"]
    assert tracing.words(dataset.drop_vars("relation"))["relations"].startswith("All facts")
