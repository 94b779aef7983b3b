"""The recipes of CONTRIBUTING name what there is, and none takes more than three files."""

from __future__ import annotations

import re

import pytest

from companion.files import checkout

ROOT = checkout()
assert ROOT is not None
HOME = ROOT / "src" / "companion"
TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
ROWS = dict(re.findall(r"^\| (an? [a-z-]+(?: [a-z-]+)*) \| (.+) \|$", TEXT, re.MULTILINE))
FILE = re.compile(r"`((?:[\w-]+/)*[\w<>-]+\.(?:py|yaml))`")
NAME = re.compile(r"\(`([A-Z_]+)`\)|\(`([a-z_]+)`\)")


def files(recipe: str) -> list[str]:
    return [file for file in FILE.findall(recipe) if "<" not in file]


def test_all_seven_changes_have_a_recipe():
    assert {
        "a per-layer statistic",
        "a scaling law",
        "a toy variant",
        "a model family",
        "a model source",
        "a claim",
        "a chapter",
    } <= set(ROWS)


@pytest.mark.parametrize("change", ROWS)
def test_a_recipe_names_files_that_there_are(change):
    for file in files(ROWS[change]):
        assert (HOME / file).is_file() or (ROOT / file).is_file(), file


@pytest.mark.parametrize("change", ROWS)
def test_a_recipe_takes_at_most_three_files_besides_its_test(change):
    own = [file for file in set(files(ROWS[change])) if not file.startswith("tests/")]
    assert len(own) <= 3, own


@pytest.mark.parametrize("change", ROWS)
def test_a_name_of_a_recipe_stands_in_one_of_its_files(change):
    text = "".join(
        (HOME / file if (HOME / file).is_file() else ROOT / file).read_text("utf-8")
        for file in files(ROWS[change])
    )
    for names in NAME.findall(ROWS[change]):
        assert next(filter(None, names)) in text
