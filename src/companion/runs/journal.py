"""A file to which a run adds one line for each step that is done, and from which it goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from companion.files import atomic


class Journal:
    """Records in a file of JSON lines; use it in a ``with`` statement.

    A line that a crash tore is cut off when the file is opened again.

    Parameters
    ----------
    path : Path
        Made if it is not there.
    keep : callable, optional
        Whether a record that is there counts; the others will be written again.
    """

    def __init__(self, path: Path, keep: Callable[[Any], bool] = lambda record: True) -> None:
        lines = path.read_text("utf-8").splitlines(keepends=True) if path.exists() else []
        records = [json.loads(line) for line in lines if line.endswith("\n")]
        self.records = [record for record in records if keep(record)]
        with atomic(path) as temporary:
            temporary.write_text("".join(map(_line, self.records)), "utf-8")
        self._file = path.open("a", encoding="utf-8")

    def append(self, record: Any) -> None:
        """Add one record; it is in the file when `flush` or the end of the block has come."""
        self.records.append(record)
        self._file.write(_line(record))

    def flush(self) -> None:
        """Hand what was added to the system."""
        self._file.flush()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *error: Any) -> None:
        self._file.close()


def _line(record: Any) -> str:
    return json.dumps(record) + "\n"
