"""Spoiled input ends in a sentence: a short run of the fuzzer, which finds planted faults."""

from __future__ import annotations

import pytest

from benchmarks import fuzz
from companion.errors import InputError
from companion.tables import load_table


@pytest.mark.parametrize("kind", fuzz.KINDS)
def test_spoiled_input_is_refused_in_a_sentence(kind, tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_OFFLINE", "1")
    (row,) = fuzz.run(tmp_path, 40, 1, [kind])["rows"]
    assert row["faults"] == {}
    assert row["refused"] > 0


@pytest.mark.parametrize(
    ("raised", "ended"),
    [
        (KeyError("x"), "KeyError at"),
        (InputError("two\nlines"), "more than a line"),
        (InputError("loss is np.float64(nan)"), "a NumPy type"),
        (InputError(""), "no sentence"),
        (InputError("give a file"), "refused"),
    ],
)
def test_the_fuzzer_tells_a_fault_from_a_refusal(raised, ended):
    def read():
        raise raised

    assert fuzz.outcome(read).startswith(ended)


def test_a_home_that_there_is_not_is_a_name_like_any_other():
    with pytest.raises(InputError, match="neither a file"):
        load_table("~nobody-here/x.csv")
