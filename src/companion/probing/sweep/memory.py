"""How many blocks of text fit into memory at once."""

from __future__ import annotations

from companion.models import Model
from companion.models.memory import block_bytes as inside_block_bytes
from companion.models.memory import free_memory
from companion.probing.lens.readout import tokens_at_once
from companion.probing.lens.share import lenses_read
from companion.probing.settings import Settings

TOKENS_AT_ONCE = {"cpu": 8192}
TOKENS_AT_ONCE_GPU = 65536
VALUE_COPIES = 3
"""Copies of the table of values, in float64, before the accumulators take it row by row."""

LOGIT_COPIES = 4
"""Float32 copies of a chunk of logits that their reduction makes."""


def blocks_at_once(model: Model, settings: Settings, rows: int, length: int, columns: int) -> int:
    """How many blocks of `length` tokens need no more than half of the free memory.

    Parameters
    ----------
    model : Model
    settings : Settings
    rows : int
        Rows of the table of values, one for each quantity and layer.
    length : int
        Tokens in a block.
    columns : int
        Of the vocabulary read at once.

    Returns
    -------
    int
        At least 1, and no more than the device is kept busy by.
    """
    room = free_memory(model) // 2 - logit_bytes(model, settings, columns)
    cap = TOKENS_AT_ONCE.get(model.device.type, TOKENS_AT_ONCE_GPU) // length
    return max(1, min(room // block_bytes(model, settings, rows, length), cap))


def block_bytes(model: Model, settings: Settings, rows: int, length: int) -> int:
    """Memory that each further block of a batch takes at the peak, in bytes; rather too much.

    Kept states and those that the lenses read (listed, then stacked), the inside of one block, its
    attention scores where they are written out (else its mask), and the table of values.
    """
    lenses = {"none": 0, "both": 2}.get(settings.lens, 1)
    copies = 1 + settings.paper_compat + 2 * lenses * settings.share
    states = copies * (model.ell + 1) * model.m * model.dtype.itemsize
    values = VALUE_COPIES * 8 * rows
    return int(length * (states + values)) + inside_block_bytes(model, length)


def logit_bytes(model: Model, settings: Settings, columns: int) -> int:
    """Memory that reading the lenses, so many columns of the vocabulary at once, takes, in bytes,
    however many blocks there are."""
    layers = lenses_read(model.ell, settings.lens)
    if not layers:
        return 0
    return LOGIT_COPIES * 4 * layers * tokens_at_once(model, layers, columns) * columns
