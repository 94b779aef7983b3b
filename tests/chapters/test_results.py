"""A chapter's record: its claims, each under a key of its own."""

from __future__ import annotations

import json

import pytest

from companion.chapters import record_results
from companion.errors import InputError
from companion.evidence.claims import CLAIM_MIME, Claim


def executed(folder, *keys):
    """An executed notebook that shows a claim for each key, one cell after another."""
    claims = [Claim(key, "n is two", "paper", {}, untestable="no data").to_dict() for key in keys]
    cells = [{"outputs": [{"data": {CLAIM_MIME: claim}}]} for claim in claims]
    run = {"parameters": {}, "seconds": 1.0}
    path = folder / "only.ipynb"
    path.write_text(json.dumps({"cells": cells, "metadata": {"companion": {"run": run}}}))
    return path


def test_live_and_stored_claims_stand_beside_each_other(tmp_path):
    notebook = executed(tmp_path, "two", "two-stored")
    found = record_results(notebook, tmp_path / "only.json")
    assert [claim["key"] for claim in found["claims"]] == ["two", "two-stored"]
    assert json.loads((tmp_path / "only.json").read_text()) == found


def test_one_key_twice_in_a_chapter_is_refused(tmp_path):
    with pytest.raises(InputError, match="claim key 'two' is used twice, in only: keys must"):
        record_results(executed(tmp_path, "two", "two"), tmp_path / "only.json")
    assert not (tmp_path / "only.json").exists()
