"""The home page tells what the ledger says, and what reruns a chapter is taken by it."""

from __future__ import annotations

import importlib
import shlex
import sys

import pytest

from companion.chapters import Book, discover, find
from companion.cli.options import pairs
from companion.errors import InputError
from companion.evidence import Measurement, judge
from companion.evidence.judging import row_record, rows
from companion.files import checkout


@pytest.fixture(scope="module", autouse=True)
def extensions():
    folder = str(checkout() / "book" / "_ext")
    sys.path.insert(0, folder)
    yield
    sys.path.remove(folder)


@pytest.fixture
def front():
    return importlib.import_module("front")


@pytest.fixture
def rerun():
    return importlib.import_module("rerun")


def row(key, *measured, **given):
    return row_record(*rows([judge(key, measured, {"table": "x"}, **given)])[0])


def test_a_sentence_has_its_number_its_verdict_and_its_way(front):
    one = Measurement("alpha_ell", 1.326, 0.889, 1.996)
    told = front.sentence(row("depth-exponent", one, data="chinchilla"))
    assert "<strong>1.33 [0.89, 2.00]</strong>" in told
    assert "verdict-undecided" in told
    assert 'href=".html#claim-depth-exponent"' in told
    absent = front.sentence(row("depth-exponent", one, data="ladder"))
    assert "<strong>not testable here</strong>" in absent


def test_the_picture_puts_an_exponent_where_it_belongs(front):
    one = Measurement("alpha_ell", 1.0, 0.5, 9.0)
    ledger = {key: row(key, reason="no data") for key in front.ROWS}
    ledger["depth-exponent"] = row("depth-exponent", one, data="chinchilla")
    drawn = front.hero(ledger)
    assert 'cx="100.0"' in drawn
    assert 'x1="50.0" x2="300.0"' in drawn
    assert drawn.count("<svg") == len(front.ROWS)
    assert drawn.count("no interval") == len(front.ROWS) - 1


def test_a_claim_that_no_chapter_judged_fails_the_build(front):
    with pytest.raises(InputError, match="'depth-exponent', which no chapter"):
        front.hero({})


def test_every_chapter_can_be_run_again_with_parameters_that_it_takes(rerun):
    book = Book.here()
    assert set(rerun.ways()) == {chapter.name for chapter in discover(book)}
    for name, listed in rerun.ways().items():
        for way in listed:
            words = shlex.split(rerun.command(name, way["set"]))
            assert words[:3] == ["companion", "run", name]
            given = pairs(words[4:-2:2], "-p", "name=value")
            assert set(given) == set(way["set"])
            find(book, name).values(given)
