"""Chips: each verdict has a word and a shape of its own, and leads to the first such claim."""

from __future__ import annotations

from companion.evidence.chips import SHAPES, chip, chips
from companion.evidence.claims import NOT_TESTABLE, REPRODUCED, VERDICTS


def test_every_verdict_has_a_shape_that_no_other_has():
    assert set(SHAPES) == set(VERDICTS)
    assert len(set(SHAPES.values())) == len(VERDICTS)


def test_a_chip_says_its_verdict_in_a_word_for_those_who_see_no_colour():
    drawn = chip(NOT_TESTABLE)
    assert NOT_TESTABLE in drawn
    assert 'class="chip verdict-not-testable-here"' in drawn
    assert "href" not in drawn


def test_a_chapter_s_chips_count_its_verdicts_and_lead_to_the_first_of_each():
    drawn = chips([("claim-a", REPRODUCED), ("claim-b", NOT_TESTABLE), ("claim-c", REPRODUCED)])
    assert f"2 {REPRODUCED}" in drawn
    assert f"1 {NOT_TESTABLE}" in drawn
    assert 'href="#claim-a"' in drawn
    assert 'href="#claim-b"' in drawn
    assert "#claim-c" not in drawn
    assert "undecided" not in drawn


def test_a_chapter_without_claims_has_no_chips():
    assert chips([]) == ""
