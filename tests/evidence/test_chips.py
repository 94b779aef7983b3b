"""Chips: each verdict has a word and a shape of its own, and leads to the first such claim."""

from __future__ import annotations

from companion.evidence.chips import SHAPES, Chips, chip
from companion.evidence.claims import NOT_TESTABLE, REPRODUCED, VERDICTS, Claim, Measurement


def _claim(key, measured=True):
    falls = (Measurement("slope", -1, -1.1, -0.9, expected_high=0),)
    scope = {"model": "small"}
    return Claim(
        key, "It falls.", "figure 1", scope, falls if measured else (), "" if measured else "no"
    )


def test_every_verdict_has_a_shape_that_no_other_has():
    assert set(SHAPES) == set(VERDICTS)
    assert len(set(SHAPES.values())) == len(VERDICTS)


def test_a_chip_says_its_verdict_in_a_word_for_those_who_see_no_colour():
    drawn = chip(NOT_TESTABLE)
    assert NOT_TESTABLE in drawn
    assert 'class="chip verdict-not-testable-here"' in drawn
    assert "href" not in drawn


def test_a_chapter_s_chips_count_its_verdicts_and_lead_to_the_first_of_each():
    chips = Chips([_claim("a"), _claim("b", measured=False), _claim("c")])
    shown = chips._repr_mimebundle_()
    assert shown["text/plain"] == f"2 {REPRODUCED}, 1 {NOT_TESTABLE}"
    assert 'href="#claim-a"' in shown["text/html"]
    assert 'href="#claim-b"' in shown["text/html"]
    assert "#claim-c" not in shown["text/html"]
    assert "undecided" not in shown["text/html"]
