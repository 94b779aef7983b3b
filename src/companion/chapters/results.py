"""What an executed chapter found out: its claims and provenance, read from its own outputs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from companion.chapters.source import Book, Chapter
from companion.errors import InputError
from companion.evidence.claims import CLAIM_MIME, VERDICTS, Claim
from companion.evidence.judging import row_record, rows
from companion.evidence.registry import registry
from companion.files import write_json
from companion.provenance import PROVENANCE_MIME


def record_results(executed: Path, record: Path) -> dict[str, Any]:
    """Read one executed chapter, and write to `record` what it found.

    Parameters
    ----------
    executed : Path
        A notebook as `companion.chapters.notebook` leaves it; its stem is the chapter's name.
    record : Path
        The JSON file to write.

    Returns
    -------
    dict
        "chapter", "parameters", "seconds", "provenance" (None if the chapter stamped none) and
        "claims", each as `Claim.to_dict` gives it, with the chapter's name.

    Raises
    ------
    InputError
        If the chapter judges one claim twice from runs of one kind.
    """
    notebook = json.loads(executed.read_text("utf-8"))
    run = notebook["metadata"]["companion"]["run"]
    stamps = list(_outputs(notebook, PROVENANCE_MIME))
    claims = [{**claim, "chapter": executed.stem} for claim in _outputs(notebook, CLAIM_MIME)]
    _check_runs(claims)
    results = {
        "chapter": executed.stem,
        "parameters": run["parameters"],
        "seconds": run["seconds"],
        "provenance": stamps[-1] if stamps else None,
        "claims": claims,
    }
    write_json(record, results)
    return results


def write_ledger(records: Iterable[Path], target: Path) -> dict[str, Any]:
    """Write the ledger of all chapters to `target`: one row a claim, and a count of each verdict.

    Counts are of the paper's claims and of ours apart.
    """
    runs = [
        Claim.from_dict({**claim, "chapter": record.stem})
        for record in records
        for claim in json.loads(record.read_text("utf-8"))["claims"]
    ]
    places = {key: place for place, key in enumerate(registry())}
    judged = sorted(rows(runs), key=lambda row: places.get(row[0].key, len(places)))
    verdicts = Counter((row[0].whose, row[0].verdict) for row in judged)
    content = {
        "counts": {
            whose: {verdict: verdicts[whose, verdict] for verdict in VERDICTS}
            for whose in ("paper", "ours")
        },
        "claims": [row_record(*row) for row in judged],
    }
    write_json(target, content)
    return content


def collect_results(book: Book, chapters: Sequence[Chapter]) -> dict[str, dict[str, int]]:
    """Write each staged chapter's record and the ledger to `_build/results`; count the verdicts.

    Records of chapters that are no longer in the book are removed.
    """
    records = []
    for chapter in chapters:
        records.append(book.results / f"{chapter.name}.json")
        record_results(book.staged(chapter.name), records[-1])
    target = book.results / "claims.json"
    for stale in set(book.results.glob("*.json")) - {*records, target}:
        stale.unlink()
    return write_ledger(records, target)["counts"]


def _check_runs(claims: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a claim that a chapter judges twice, other than by a live and by a stored run."""
    seen = Counter((claim["key"], claim["run"]) for claim in claims)
    for (key, run), times in seen.items():
        if times > 1:
            raise InputError(f"claim {key!r} is judged {times} times by {run} runs of one chapter")


def _outputs(notebook: Mapping[str, Any], mime: str) -> Iterable[Any]:
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            if mime in output.get("data", {}):
                yield output["data"][mime]
