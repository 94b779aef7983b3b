"""How much memory is free, what a model takes of it, and whether an error says it ran out."""

from __future__ import annotations

import torch

from companion import runtime
from companion.models.anatomy import Model

LOGIT_BYTES = {"cpu": 64 << 20}
LOGIT_BYTES_GPU = 512 << 20


def free_memory(model: Model) -> int:
    """Bytes left on the fullest of the devices that a model lies on."""
    places = {weight.device for weight in model.net.parameters()} | {model.device}
    return min(runtime.free_memory(place) for place in places if place.type != "meta")


def block_bytes(model: Model, length: int) -> int:
    """Memory that one block takes inside while a row of `length` tokens runs; rather too much.

    Its widest states, and attention scores where they are written out (else the mask).
    """
    config = model.net.config.get_text_config(decoder=True)
    size = model.dtype.itemsize
    widest = max(max(*weight.shape[-2:], 1) for weight in model.blocks.parameters())
    heads = getattr(config, "num_attention_heads", model.m // 32)
    written_out = getattr(config, "_attn_implementation", "eager") == "eager"
    scores = length * (2 * (size + 4) * heads if written_out else size)
    return length * (4 * widest * size + scores)


def tokens_read_at_once(model: Model) -> int:
    """Tokens whose logits, in float32, exist at the same time; of a huge vocabulary few."""
    room = LOGIT_BYTES.get(model.device.type, LOGIT_BYTES_GPU)
    return max(1, room // (4 * model.V))


def out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory ran out, on a GPU or on the CPU."""
    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or (
        "out of memory" in text or "can't allocate memory" in text
    )
