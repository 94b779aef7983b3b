"""The parameters cell: what it may say, and what is refused at the door."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.chapters.parameters import parse, resolve
from companion.errors import InputError

CELL = """model: str = "ladder:m128-ell8"  # a ladder model, a Hub id or a path
tokens: int = 4096  # tokens to read [256, ]
fraction: float = 0.25  # share for the lens [0, 1]
lens: str = "both"  # lens {both, none}
compat: bool = False  # as the paper's scripts do
taus: list[float] = [0.1, 1.0]  # temperatures [0.001, 10]"""
DECLARED = parse(CELL)


def test_declarations_are_read_in_order():
    assert [one.name for one in DECLARED] == [
        "model",
        "tokens",
        "fraction",
        "lens",
        "compat",
        "taus",
    ]
    assert [one.default for one in DECLARED[:3]] == ["ladder:m128-ell8", 4096, 0.25]
    assert DECLARED[1].help == "tokens to read"
    assert [one.limits for one in DECLARED[1:4]] == [
        "at least 256",
        "from 0 to 1",
        "one of both, none",
    ]
    assert DECLARED[0].limits == DECLARED[4].limits == ""


def test_values_come_in_their_type_from_the_command_line_and_from_a_profile():
    typed = {"tokens": "512", "fraction": "1", "compat": "true", "taus": "0.5,2", "model": "x"}
    plain = {"tokens": 512, "fraction": 1, "compat": True, "taus": [0.5, 2], "model": "x"}
    assert resolve(DECLARED, typed, "c") == resolve(DECLARED, plain, "c")
    assert isinstance(resolve(DECLARED, plain, "c")["fraction"], float)
    assert resolve(DECLARED, {}, "c")["lens"] == "both"


@pytest.mark.parametrize(
    ("given_", "sentence"),
    [
        ({"token": "1"}, "no parameter token: did you mean tokens"),
        ({"zzz": "1"}, "no parameter zzz: it has model, tokens"),
        ({"tokens": "many"}, "tokens='many' is not a whole number"),
        ({"tokens": "1.5"}, "not a whole number"),
        ({"tokens": True}, "not a whole number"),
        ({"tokens": "1"}, "tokens='1' must be at least 256"),
        ({"fraction": "1.1"}, "must be from 0 to 1"),
        ({"fraction": "nan"}, "is not a number"),
        ({"lens": "eye"}, "must be one of both, none"),
        ({"compat": "maybe"}, "is not true or false"),
        ({"taus": "0.1,hot"}, "taus='hot' is not a number"),
        ({"taus": 3}, "taus=3 is not a list"),
        ({"model": 3}, "model=3 is not a text"),
    ],
)
def test_bad_values_get_one_sentence(given_, sentence):
    with pytest.raises(InputError, match=sentence) as refused:
        resolve(DECLARED, given_, "c")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        ("n = 3", "is not name: type = value"),
        ("n: int", "is not name: type = value"),
        ("n: dict = {}", "has type dict"),
        ("n: int = 0  # n [1, 9]", "must be from 1 to 9"),
        ("n: str = 'c'  # n {a, b}", "must be one of a, b"),
    ],
)
def test_a_parameters_cell_is_held_to_its_form(cell, sentence):
    with pytest.raises(InputError, match=sentence):
        parse(cell)


@given(st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9))
def test_limits_hold_for_every_whole_number(low, high, value):
    low, high = sorted((low, high))
    (one,) = parse(f"n: int = {low}  # n [{low}, {high}]")
    if low <= value <= high:
        assert one.check(str(value)) == one.check(value) == value
    else:
        with pytest.raises(InputError):
            one.check(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_survives_the_command_line(value):
    (one,) = parse("x: float = 1.0  # x")
    assert one.check(repr(value)) == value


@given(st.text())
def test_a_text_survives_the_command_line(text):
    (one,) = parse("x: str = ''  # x")
    assert one.check(text) == text
