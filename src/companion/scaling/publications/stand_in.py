"""The rows that a chapter fits: the table asked for, or one that stands in for it."""

from __future__ import annotations

from companion.scaling.fitting.laws import get_law
from companion.tables import TableUnavailable, load_table


def rows_for(name: str, law: str = "additive", drop: int = 0):
    """A table and how many of its highest losses to drop; where it cannot be had, the ladder.

    Of a table that stands in no loss is dropped, since the cut was meant for the other one; rows
    that the law cannot take (no deeper than its shift) are left out.

    Returns
    -------
    table : DataFrame
        If it stands in, ``attrs`` say so: `stands_in_for`, `absent` (why the other one could not
        be had), `left_out` (rows that the law cannot take).
    drop : int

    Raises
    ------
    InputError
        If the table is invalid, or the stand-in cannot be had either.
    """
    try:
        return load_table(name), drop
    except TableUnavailable as missing:
        table = load_table("ladder")
        kept = _above_shift(table, law)
        kept.attrs |= {"stands_in_for": name, "absent": str(missing)}
        kept.attrs["left_out"] = len(table) - len(kept)
        return kept, 0


def _above_shift(table, law: str):
    """Rows beyond the law's fixed shifts."""
    fixed = {v: shift for v, shift in get_law(law).shift if not isinstance(shift, str)}
    for variable, shift in fixed.items():
        table = table[table[variable] > shift]
    return table.reset_index(drop=True)
