"""Which column of a table is which: by its own name, by one that others use, or as told."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from companion.errors import InputError

REQUIRED = ("m", "ell", "D", "loss")
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


def columns_sentence(table: pd.DataFrame) -> str:
    """Which columns were taken by a name that is not ours; empty if none."""
    taken = table.attrs.get("columns", {})
    listed = ", ".join(f"{theirs} as {ours}" for ours, theirs in taken.items())
    flags = " ".join(f"--column {ours}={theirs}" for ours, theirs in taken.items())
    return f"took {listed}; to be sure, say {flags}" if taken else ""


def synonyms(table: pd.DataFrame) -> dict[str, str]:
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


def renamed(table: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """The table with our names for the columns told, `columns` mapping ours to the table's.

    Raises
    ------
    InputError
        If the table has no such column.
    """
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
