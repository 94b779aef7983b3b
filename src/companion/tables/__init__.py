"""Loss tables: rows of (m, ell, D, loss) from published runs, the ladder, or a user's own file.

Floor 1. `loss_tables`: read, check, cut; `columns`: which column is which; `published`: where the
registered tables come from, with checksums. Nothing is dropped from a table unless asked.
"""

from companion.tables.columns import columns_sentence
from companion.tables.loss_tables import clusters, drop_highest, load_table, validate
from companion.tables.published import SOURCES, Source, TableUnavailable

__all__ = [
    "SOURCES",
    "Source",
    "TableUnavailable",
    "clusters",
    "columns_sentence",
    "drop_highest",
    "load_table",
    "validate",
]
