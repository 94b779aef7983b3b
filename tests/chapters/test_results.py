"""A chapter's record: its claims, each under a key of its own."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from companion.chapters import record_results
from companion.chapters.results import write_ledger
from companion.errors import InputError
from companion.evidence import Measurement, judge, stored
from companion.evidence.claims import CLAIM_MIME


def executed(folder, *runs, key="additivity"):
    """An executed notebook that judges one claim from each of `runs`, one cell after another."""
    claims = [judge(key, [], {}, reason="no data") for _ in runs]
    claims = [replace(claim, run=run).to_dict() for claim, run in zip(claims, runs, strict=True)]
    cells = [{"outputs": [{"data": {CLAIM_MIME: claim}}]} for claim in claims]
    run = {"parameters": {}, "seconds": 1.0}
    path = folder / "only.ipynb"
    path.write_text(json.dumps({"cells": cells, "metadata": {"companion": {"run": run}}}))
    return path


def test_live_and_stored_claims_stand_beside_each_other(tmp_path):
    notebook = executed(tmp_path, "live", "stored")
    found = record_results(notebook, tmp_path / "only.json")
    assert [claim["run"] for claim in found["claims"]] == ["live", "stored"]
    assert json.loads((tmp_path / "only.json").read_text()) == found


def test_one_claim_twice_in_a_chapter_is_refused(tmp_path):
    with pytest.raises(InputError, match="'additivity' is judged 2 times by live runs"):
        record_results(executed(tmp_path, "live", "live"), tmp_path / "only.json")
    assert not (tmp_path / "only.json").exists()


def test_the_ledger_has_one_row_a_claim_and_says_which_run_decides(tmp_path):
    small = judge("additivity", [Measurement("x", 0.0, -1, 1)], {}, data="chinchilla", size=1)
    large = judge("additivity", [Measurement("x", 0.9, 0.8, 1)], {}, data="chinchilla", size=9)
    other = judge("depth-exponent", [Measurement("x", 1, 0.9, 1.1)], {}, data="chinchilla")
    pages = {"a": [small, other], "b": stored([large])}
    for name, claims in pages.items():
        content = {"claims": [claim.to_dict() for claim in claims]}
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    content = write_ledger([tmp_path / "a.json", tmp_path / "b.json"], tmp_path / "claims.json")
    assert [row["key"] for row in content["claims"]] == ["depth-exponent", "additivity"]
    row = content["claims"][1]
    assert (row["verdict"], row["chapter"], row["run"]) == ("not reproduced", "b", "stored")
    assert row["why"] == (
        "the stored run of b decides, the larger; alone, another would say: undecided"
    )
    assert [one["decides"] for one in row["measurements"]] == [True, False]
    assert content["counts"]["paper"]["not reproduced"] == 1
    assert sum(content["counts"]["ours"].values()) == 0
    assert json.loads((tmp_path / "claims.json").read_text()) == content
