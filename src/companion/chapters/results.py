"""What an executed chapter found out: its claims and provenance, read from its own outputs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from companion.chapters.source import Book, Chapter
from companion.errors import InputError
from companion.evidence.claims import CLAIM_MIME, VERDICTS, ledger
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
        If two claims of the chapter have one key.
    """
    notebook = json.loads(executed.read_text("utf-8"))
    run = notebook["metadata"]["companion"]["run"]
    stamps = list(_outputs(notebook, PROVENANCE_MIME))
    claims = [{**claim, "chapter": executed.stem} for claim in _outputs(notebook, CLAIM_MIME)]
    _check_keys((claim["key"], executed.stem) for claim in claims)
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
    """Write the ledger of all chapters to `target`, with a count of each verdict.

    Raises
    ------
    InputError
        If two claims have one key.
    """
    claims = ledger(records)
    _check_keys((claim.key, claim.chapter) for claim in claims)
    verdicts = Counter(claim.verdict for claim in claims)
    content = {
        "counts": {verdict: verdicts[verdict] for verdict in VERDICTS},
        "claims": [claim.to_dict() for claim in claims],
    }
    write_json(target, content)
    return content


def collect_results(book: Book, chapters: Sequence[Chapter]) -> dict[str, int]:
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


def _check_keys(claims: Iterable[tuple[str, str]]) -> None:
    """Refuse a key that two claims have, of one chapter or of two."""
    homes: dict[str, str] = {}
    for key, chapter in claims:
        if key in homes:
            where = " and ".join(dict.fromkeys((homes[key], chapter)))
            raise InputError(f"claim key {key!r} is used twice, in {where}: keys must differ")
        homes[key] = chapter


def _outputs(notebook: Mapping[str, Any], mime: str) -> Iterable[Any]:
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            if mime in output.get("data", {}):
                yield output["data"][mime]
