"""Loss tables: rows of (m, ell, D, loss) from published runs, the ladder, or a user's own file.

Floor 1. A registered table is looked for in the folder `COMPANION_DATA`, then in the cache, then
downloaded; its sha256 is checked each time. Nothing is dropped from a table unless asked.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd

from companion.errors import InputError
from companion.files import atomic, user_path

REQUIRED = ("m", "ell", "D", "loss")
NUMERIC = (*REQUIRED, "N", "flops")
SYNONYMS = {
    "m": ("width", "d_model", "dmodel", "n_embd", "hidden_size", "hidden_dim", "model_dim"),
    "ell": ("depth", "n_layers", "n_layer", "num_layers", "num_hidden_layers", "layers", "blocks"),
    "D": ("tokens", "n_tokens", "num_tokens", "training_tokens", "train_tokens", "data"),
    "loss": (
        "final_loss",
        "val_loss",
        "validation_loss",
        "test_loss",
        "eval_loss",
        "held_out_loss",
    ),
}
"""Names that others give to our columns, in any case; used where one of them stands alone."""
TIMEOUT = 8.0
PLAUSIBLE = {
    "m": (4, 1e6, "channels"),
    "ell": (1, 1e3, "blocks"),
    "D": (1e5, 1e15, "tokens"),
    "N": (1e3, 1e14, "parameters"),
    "loss": (1e-3, 12, "nats per token"),
}


class TableUnavailable(InputError):
    """A registered table that is neither here nor downloadable."""


@dataclass(frozen=True)
class Source:
    """Where a registered table comes from, and which of its columns are which.

    `columns` maps our names to the file's; an empty `url` means that the table is packaged.
    """

    name: str
    file: str
    url: str
    sha256: str
    columns: Mapping[str, str]
    citation: str
    licence: str = "none stated: figures only"
    notes: str = field(default="", kw_only=True)


_RAW = "https://raw.githubusercontent.com"
SOURCES = {
    s.name: s
    for s in (
        Source(
            "chinchilla",
            "chinchilla.csv",
            f"{_RAW}/liuyz0/DepthScaling/main/Scaling/get_fitting_data_chinchilla.csv",
            "cb474e8f5fc87be4132190a0c782d1521c4f06b9c041395b3a78ff2ffc34f83e",
            {"m": "d_model", "ell": "n_layers", "D": "num_tokens", "N": "model_size"}
            | {"flops": "FLOP"},
            "Hoffmann et al. 2022, figure 4, digitised by Besiroglu et al. 2024",
            notes="245 runs, 39 shapes; width and depth rise together",
        ),
        Source(
            "gemstones",
            "gemstones_hot_100b.jsonl",
            f"{_RAW}/mcleish7/gemstone-scaling-laws/main/wandb_dfs/"
            "wandb_df_for_fitting_hot_100b%2B.jsonl",
            "1da97ce3d1394e0223826c8f5ca081cb0fb289ec65d2707fb5430721e92e9659",
            {"m": "width", "ell": "depth", "D": "tokens", "loss": "final_loss"}
            | {"N": "params_active_precise", "run": "run_name"},
            "McLeish et al. 2025",
            "MIT",
            notes="770 checkpoints of 22 training runs; width and depth nearly independent",
        ),
        Source(
            "ladder",
            "ladder.csv",
            "",
            "",
            {},
            "this project's own small models",
            "MIT",
            notes="trained by `companion ladder train`",
        ),
    )
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
        table = validate(
            _renamed(name_or_path, columns or {}), given.get("name", "the table given")
        )
        table.attrs |= {k: given[k] for k in ("source", "citation", "columns") if k in given}
        return table
    name = str(name_or_path)
    source = SOURCES.get(name)
    path = _locate(source) if source else user_path(name)
    if source is None and not path.is_file():
        raise InputError(
            f"table {name!r} is neither a file nor one of {', '.join(SOURCES)}: "
            "give a path to CSV, JSON, JSON lines or Parquet"
        )
    mapping = {**(source.columns if source else {}), **(columns or {})}
    table = validate(_renamed(_read(path), mapping), name)
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
    taken = _synonyms(table)
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


def columns_sentence(table: pd.DataFrame) -> str:
    """Which columns were taken by a name that is not ours; empty if none."""
    taken = table.attrs.get("columns", {})
    listed = ", ".join(f"{theirs} as {ours}" for ours, theirs in taken.items())
    flags = " ".join(f"--column {ours}={theirs}" for ours, theirs in taken.items())
    return f"took {listed}; to be sure, say {flags}" if taken else ""


def _synonyms(table: pd.DataFrame) -> dict[str, str]:
    """Our names that the table lacks, with the only column of it that has a synonym's name.

    Raises
    ------
    InputError
        If several columns could be the one.
    """
    taken = {}
    for ours in (c for c in REQUIRED if c not in table.columns):
        known = [c for c in table.columns if str(c).lower().replace(" ", "_") in SYNONYMS[ours]]
        if len(known) > 1:
            raise InputError(
                f"{' and '.join(map(str, known))} could both be {ours}: say which, like "
                f"--column {ours}={known[0]}"
            )
        taken |= {ours: known[0]} if known else {}
    return taken


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


def _renamed(table: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    if not columns:
        return table
    absent = [theirs for theirs in columns.values() if theirs not in table.columns]
    if absent:
        raise InputError(
            f"no column {', '.join(absent)} in the table (found: "
            f"{', '.join(map(str, table.columns))})"
        )
    clash = [ours for ours, theirs in columns.items() if ours in table and ours != theirs]
    return table.drop(columns=clash).rename(columns={v: k for k, v in columns.items()})


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


def _locate(source: Source) -> Path:
    """The file of a registered table, downloaded if need be and verified in any case."""
    if not source.url:
        path = Path(str(resources.files("companion"))) / "data" / source.file
        if not path.is_file():
            raise TableUnavailable(f"table {source.name!r} is not in this installation ({path})")
        return path
    folder = os.environ.get("COMPANION_DATA")
    if folder and (Path(folder) / source.file).is_file():
        return _verified(Path(folder) / source.file, source)
    cached = _cache() / source.file
    if cached.is_file():
        return _verified(cached, source, aside=True)
    return _download(source, cached)


def _pooch():
    """The downloader; tqdm, which it imports, warns about notebooks without widgets."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pooch
    return pooch


def _cache() -> Path:
    return Path(os.environ.get("COMPANION_CACHE") or _pooch().os_cache("depth-companion"))


def _verified(path: Path, source: Source, aside: bool = False) -> Path:
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found == source.sha256:
        return path
    where = f"{path}"
    if aside:
        where = f"{path.rename(path.with_name(path.name + '.corrupt'))} (set aside)"
    raise InputError(
        f"checksum error in {where}: sha256 is {found[:12]}..., "
        f"{source.name} has {source.sha256[:12]}...; fetch it again from {source.url}"
    )


def _download(source: Source, target: Path) -> Path:
    try:
        with atomic(target) as temporary:
            _pooch().HTTPDownloader(timeout=TIMEOUT)(source.url, str(temporary), None)
    except OSError as error:
        data = os.environ.get("COMPANION_DATA")
        raise TableUnavailable(
            f"table {source.name!r} is not in COMPANION_DATA ({data or 'not set'}) nor in "
            f"{target.parent}, and {source.url} did not answer ({type(error).__name__}): "
            f"put {source.file} in a folder and set COMPANION_DATA to it"
        ) from None
    return _verified(target, source, aside=True)
