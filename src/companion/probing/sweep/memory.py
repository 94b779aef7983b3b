"""How many blocks of text fit into memory at once."""

from __future__ import annotations

import os

import torch

from companion.models import Model
from companion.probing.lens.readout import tokens_at_once
from companion.probing.lens.share import lenses_read
from companion.probing.settings import Settings

TOKENS_AT_ONCE = {"cpu": 8192}
TOKENS_AT_ONCE_GPU = 65536
VALUE_COPIES = 3
"""Copies of the table of values, in float64, before the accumulators take it row by row."""

LOGIT_COPIES = 4
"""Float32 copies of a chunk of logits that their reduction makes."""


def blocks_at_once(model: Model, settings: Settings, rows: int, length: int) -> int:
    """How many blocks of `length` tokens need no more than half of the free memory.

    Parameters
    ----------
    model : Model
    settings : Settings
    rows : int
        Rows of the table of values, one for each quantity and layer.
    length : int
        Tokens in a block.

    Returns
    -------
    int
        At least 1, and no more than the device is kept busy by.
    """
    places = {weight.device for weight in model.net.parameters()} | {model.device}
    free = min(_free_bytes(place) for place in places if place.type != "meta")
    room = free // 2 - logit_bytes(model, settings)
    cap = TOKENS_AT_ONCE.get(model.device.type, TOKENS_AT_ONCE_GPU) // length
    return max(1, min(room // block_bytes(model, settings, rows, length), cap))


def block_bytes(model: Model, settings: Settings, rows: int, length: int) -> int:
    """Memory that each further block of a batch takes at the peak, in bytes; rather too much.

    Kept states and those that the lenses read (listed, then stacked), the inside of one block, its
    attention scores where they are written out (else its mask), and the table of values.
    """
    config = model.net.config.get_text_config(decoder=True)
    size = model.dtype.itemsize
    lenses = {"none": 0, "both": 2}.get(settings.lens, 1)
    copies = 1 + settings.paper_compat + 2 * lenses * settings.share
    states = copies * (model.ell + 1) * model.m * size
    widest = max(max(*weight.shape[-2:], 1) for weight in model.blocks.parameters())
    heads = getattr(config, "num_attention_heads", model.m // 32)
    written_out = getattr(config, "_attn_implementation", "eager") == "eager"
    scores = length * (2 * (size + 4) * heads if written_out else size)
    values = VALUE_COPIES * 8 * rows
    return int(length * (states + 4 * widest * size + scores + values))


def logit_bytes(model: Model, settings: Settings) -> int:
    """Memory that reading the lenses takes, in bytes, however many blocks there are."""
    layers = lenses_read(model.ell, settings.lens)
    if not layers:
        return 0
    return LOGIT_COPIES * 4 * layers * tokens_at_once(model, layers) * model.V


def _free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if "SC_AVPHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
