"""How every figure looks, and the table of what it shows (floor 4)."""

from companion.plotting.theme.drawn import table
from companion.plotting.theme.look import (
    FAMILY_PALETTE,
    GRID,
    INK,
    PAGE_BACKGROUNDS,
    RASTER_DPI,
    TYPE,
    depth_palette,
    label,
    names_of,
    use,
)

__all__ = [
    "FAMILY_PALETTE",
    "GRID",
    "INK",
    "PAGE_BACKGROUNDS",
    "RASTER_DPI",
    "TYPE",
    "depth_palette",
    "label",
    "names_of",
    "table",
    "use",
]
