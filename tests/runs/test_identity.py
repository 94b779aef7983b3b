"""Runs are the same if their settings are equal by value and their files by content."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from companion.runs import content_hash, difference

KEYS = st.sampled_from(["tokens", "corpus", "lens"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=4,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(KEYS, VALUES))
def test_settings_equal_themselves(chosen):
    assert difference(chosen, chosen) is None


@pytest.mark.parametrize(
    ("then", "now", "said"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, None),
        ({"a": (1, 2)}, {"a": [1, 2]}, None),
        ({"a": 1}, {"a": 1.0}, None),
        ({"a": Path("x")}, {"a": "x"}, None),
        ({"a": 1, "b": 2}, {"a": 3, "b": 4}, "a was 1, now 3"),
        ({"a": True}, {"a": 1}, "a was true, now 1"),
        ({}, {"a": None}, "a was not set, now null"),
        ({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 2}}}, "a.b.c was 1, now 2"),
        ({"a": 1}, {}, "a was 1, now not set"),
    ],
)
def test_the_first_difference_is_named(then, now, said):
    assert difference(then, now) == said


def test_a_file_is_what_it_holds_and_not_its_size_or_time(tmp_path):
    file = tmp_path / "corpus.txt"
    file.write_text("one")
    before = content_hash(file)
    os.utime(file, (0, 0))
    assert content_hash(file) == before
    file.write_text("two")
    assert content_hash(file) != before


def test_a_folder_is_its_paths_and_contents_and_nothing_compiled(tmp_path):
    (tmp_path / "a").write_text("1")
    before = content_hash(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_text("2")
    assert content_hash(tmp_path) == before
    assert content_hash(tmp_path, {"a"}) != before
    (tmp_path / "a").rename(tmp_path / "b")
    assert content_hash(tmp_path) != before
    assert content_hash(tmp_path / "nothing") == content_hash(tmp_path / "__pycache__" / "none")
