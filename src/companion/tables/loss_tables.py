"""Loss tables as data frames: read, checked, cut, and told apart by training run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from companion.errors import InputError
from companion.files import user_path
from companion.tables.columns import REQUIRED, renamed, synonyms
from companion.tables.published import SOURCES, locate

NUMERIC = (*REQUIRED, "N", "flops")
PLAUSIBLE = {
    "m": (4, 1e6, "channels"),
    "ell": (1, 1e3, "blocks"),
    "D": (1e5, 1e15, "tokens"),
    "N": (1e3, 1e14, "parameters"),
    "loss": (1e-3, 12, "nats per token"),
}


def load_table(name_or_path, columns: Mapping[str, str] | None = None) -> pd.DataFrame:
    """A validated loss table with columns m, ell, D, loss, and N, flops, run where known.

    Parameters
    ----------
    name_or_path : str, Path or DataFrame
        "chinchilla", "gemstones", "ladder", a CSV, JSON, JSON lines or Parquet file, or a frame.
    columns : mapping, optional
        Our column name to the file's, e.g. ``{"m": "d_model"}``; overrides the registry's.

    Returns
    -------
    DataFrame
        m in channels, ell in blocks, D in tokens, loss in nats per token, N in parameters.
        ``attrs`` hold `name`, `source`, `citation`, `warnings` (implausible units) and `columns`,
        which of the file's columns were taken by a name that is not ours.

    Raises
    ------
    InputError
        If the file is missing, unreadable or invalid; `TableUnavailable` if a registered table
        cannot be had.
    """
    if isinstance(name_or_path, pd.DataFrame):
        given = name_or_path.attrs
        table = validate(renamed(name_or_path, columns or {}), given.get("name", "the table given"))
        table.attrs |= {k: given[k] for k in ("source", "citation", "columns") if k in given}
        return table
    name = str(name_or_path)
    source = SOURCES.get(name)
    path = locate(source) if source else user_path(name)
    if source is None and not path.is_file():
        raise InputError(
            f"table {name!r} is neither a file nor one of {', '.join(SOURCES)}: "
            "give a path to CSV, JSON, JSON lines or Parquet"
        )
    mapping = {**(source.columns if source else {}), **(columns or {})}
    table = validate(renamed(_read(path), mapping), name)
    citation = source.citation if source else ""
    table.attrs |= {"name": source.name if source else path.stem, "source": str(path)}
    table.attrs["citation"] = citation
    return table


def validate(table: pd.DataFrame, name: str = "table") -> pd.DataFrame:
    """Check columns and values; implausible units become ``attrs["warnings"]``.

    Raises
    ------
    InputError
        If columns are missing or values are not finite positive numbers.
    """
    taken = synonyms(table)
    table = table.rename(columns={theirs: ours for ours, theirs in taken.items()})
    missing = [c for c in REQUIRED if c not in table.columns]
    if missing:
        raise InputError(
            f"{name}: missing columns {', '.join(missing)} (found: "
            f"{', '.join(map(str, table.columns))}); say which they are, like "
            f"{' '.join(f'--column {ours}=NAME' for ours in missing)}"
        )
    if table.empty:
        raise InputError(f"{name}: the table has no rows")
    values = {
        c: _positive(pd.Series(table[c]), f"{name}: column {c}")
        for c in NUMERIC
        if c in table.columns
    }
    kept = {c: table[c].to_numpy() for c in table.columns if c not in values}
    remarks = [w for c, v in values.items() if c in PLAUSIBLE for w in _implausible(c, v)]
    table = pd.DataFrame({c: values.get(c, kept.get(c)) for c in table.columns})
    table.attrs = {"name": name, "source": name, "citation": "", "warnings": tuple(remarks)}
    table.attrs["columns"] = taken
    return table


def _positive(column: pd.Series, label: str) -> np.ndarray:
    try:
        numbers = np.asarray(column, float)
    except (TypeError, ValueError):
        numbers = np.asarray(pd.to_numeric(column, errors="coerce"), float)
    bad = np.flatnonzero(~(np.isfinite(numbers) & (numbers > 0)))
    if len(bad):
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        raise InputError(
            f"{label} must be positive and finite: row {bad[0]} has {column.iloc[bad[0]]}{more}"
        )
    return numbers


def _implausible(column: str, values: np.ndarray) -> list[str]:
    low, high, unit = PLAUSIBLE[column]
    seen = (values.min(), values.max())
    if seen[0] >= low and seen[1] <= high:
        return []
    return [
        f"column {column} runs from {seen[0]:.4g} to {seen[1]:.4g}, unlikely for {unit} "
        f"({low:g} to {high:g}): check its unit"
    ]


def drop_highest(table: pd.DataFrame, k: int) -> pd.DataFrame:
    """Keep rows with loss below the k-th highest; ties with it are dropped too.

    The paper's published code cuts like this: k = 40 leaves 203 of Chinchilla's 245 rows.

    Raises
    ------
    InputError
        If k is negative or leaves no row.
    """
    if not 0 <= k < len(table):
        raise InputError(f"cannot drop the {k} highest of {len(table)} losses")
    if k == 0:
        return table
    return table.loc[table["loss"] < np.sort(table["loss"])[-k]].reset_index(drop=True)


def clusters(table) -> np.ndarray:
    """Labels of rows that are not independent: training run where known, else (m, ell) shape."""
    if "run" in table:
        return np.asarray(table["run"]).astype(str)
    return np.array([f"{m:g}x{ell:g}" for m, ell in zip(table["m"], table["ell"], strict=True)])


def _read(path: Path) -> pd.DataFrame:
    readers = {
        ".csv": pd.read_csv,
        ".jsonl": lambda p: pd.read_json(p, lines=True),
        ".json": pd.read_json,
        ".parquet": pd.read_parquet,
    }
    if path.suffix not in readers:
        raise InputError(f"{path}: use one of {', '.join(readers)}")
    try:
        return readers[path.suffix](path)
    except ImportError:
        raise InputError(f"{path}: reading Parquet needs the package pyarrow") from None
    except (ValueError, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a readable {path.suffix[1:]} table: {error}") from None
