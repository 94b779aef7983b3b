"""Where text comes from, and how it becomes fixed-length blocks of tokens with document ids."""

from companion.corpus.names import open_source
from companion.corpus.packing import DOCUMENT_TOKENS, Block, Blocks, Text, blocks
from companion.corpus.sources import (
    HELD_OUT_PACKAGES,
    TRAIN_PACKAGES,
    Document,
    Source,
)

__all__ = [
    "DOCUMENT_TOKENS",
    "HELD_OUT_PACKAGES",
    "TRAIN_PACKAGES",
    "Block",
    "Blocks",
    "Document",
    "Source",
    "Text",
    "blocks",
    "open_source",
]
