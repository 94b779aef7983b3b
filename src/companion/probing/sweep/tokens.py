"""Token blocks from a tensor or a corpus, numbered, sharded and batched."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from companion.errors import InputError
from companion.models import Model
from companion.probing.sweep.state import CLUSTERS
from companion.statistics.streaming import cluster_of


class Item(NamedTuple):
    """One block: its number in the corpus, its tokens, the document of each token."""

    number: int
    tokens: np.ndarray
    documents: np.ndarray


@dataclass(frozen=True)
class Shard:
    """Blocks whose number leaves `index` when divided by `of`."""

    index: int = 0
    of: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """ "I/N" with 0 <= I < N.

        Raises
        ------
        InputError
            If the text has another form or I is out of range.
        """
        index, slash, of = text.partition("/")
        if not (slash and index.isdigit() and of.isdigit() and int(index) < int(of)):
            raise InputError(f"shard {text!r} is out of range: use I/N with 0 <= I < N")
        return cls(int(index), int(of))

    def __str__(self) -> str:
        return f"{self.index}/{self.of}"


@dataclass(frozen=True)
class TokenBlocks:
    """Token blocks with what is known of them.

    Parameters
    ----------
    blocks : iterable
        Of (tokens, documents) pairs.
    corpus : object with `manifest()`, or None
    facts : dict
        What identifies the source before it is read.
    total : int or None
        Blocks to come, if known.
    """

    blocks: Iterable[Any]
    corpus: Any
    facts: dict[str, Any]
    total: int | None

    def items(self, shard: Shard, start: int, model: Model) -> Iterator[Item]:
        """The blocks of a shard with numbers from `start` on, each checked against the model."""
        count, length = 0, None
        for number, (tokens, documents) in enumerate(self.blocks):
            count, length = number + 1, length or len(tokens)
            if number >= start and number % shard.of == shard.index:
                _check_block(number, tokens, length, model)
                yield Item(number, np.asarray(tokens), np.asarray(documents))
        if not count:
            raise InputError("the corpus has no full block of tokens: it is empty or too short")
        if count <= shard.index:
            raise InputError(f"shard {shard} has no block: there are only {count}")

    def manifest(self) -> dict[str, Any]:
        """What was read, for the record."""
        return self.corpus.manifest() if self.corpus is not None else self.facts


def open_source(tokens: Any, model: Model, length: int | None, limit: int | None) -> TokenBlocks:
    """Blocks from an integer tensor (block, position), a corpus object, or a corpus' name."""
    if isinstance(tokens, str):
        return _named(tokens, model, length, limit)
    if hasattr(tokens, "manifest"):
        total = tokens.tokens // tokens.length if getattr(tokens, "tokens", None) else None
        origin = getattr(tokens, "source", None)
        facts = {"corpus": getattr(origin, "name", "corpus"), **getattr(origin, "facts", {})}
        facts |= {"length": tokens.length, "limit": tokens.tokens}
        facts["document_tokens"] = getattr(tokens, "limit", None)
        facts["begin"] = getattr(tokens, "begin", [])
        return TokenBlocks(tokens, tokens, facts, total)
    return _table(tokens, limit)


def _named(name: str, model: Model, length: int | None, limit: int | None) -> TokenBlocks:
    from companion import corpus

    if model.tokenizer is None:
        raise InputError(
            f"model {model.name!r} has no tokenizer: give token blocks in place of corpus {name!r}"
        )
    length = length or min(1024, context(model) or 1024)
    return open_source(corpus.blocks(name, model.tokenizer, length, limit), model, None, None)


def _table(tokens: Any, limit: int | None) -> TokenBlocks:
    table = tokens.cpu().numpy() if isinstance(tokens, torch.Tensor) else np.asarray(tokens)
    if table.ndim != 2 or not np.issubdtype(table.dtype, np.integer):
        raise InputError(
            f"tokens have shape {table.shape} and type {table.dtype}: "
            "give an integer tensor (block, position), or a corpus"
        )
    if table.size == 0 or table.shape[1] < 2:
        raise InputError(f"tokens of shape {table.shape} hold no block of at least 2 tokens")
    table = np.ascontiguousarray(table[: limit // table.shape[1]] if limit else table, np.int64)
    digest = hashlib.sha256(table.tobytes()).hexdigest()
    facts = {"corpus": "tensor", "length": table.shape[1], "tokens": table.size, "sha256": digest}
    blocks = [(row, np.full(len(row), number)) for number, row in enumerate(table)]
    return TokenBlocks(blocks, None, facts, len(table))


def _check_block(number: int, tokens: np.ndarray, length: int, model: Model) -> None:
    limit = context(model)
    if len(tokens) != length:
        raise InputError(f"block {number} has {len(tokens)} tokens, others {length}")
    if limit and length > limit:
        raise InputError(
            f"blocks of {length} tokens exceed the context of {model.name!r}, {limit} tokens"
        )
    if tokens.min() < 0 or tokens.max() >= model.V:
        raise InputError(
            f"block {number} has token {tokens.max() if tokens.max() >= model.V else tokens.min()} "
            f"but the vocabulary of {model.name!r} is 0 .. {model.V - 1}: "
            "tokenizer and model do not belong together"
        )


def context(model: Model) -> int | None:
    """The longest block that the model takes, if its configuration says so."""
    config = model.net.config.get_text_config(decoder=True)
    return getattr(config, "max_position_embeddings", None)


def clusters_of(items: list[Item]) -> torch.Tensor:
    """Cluster of every token of a batch, flat."""
    return torch.from_numpy(cluster_of(np.concatenate([i.documents for i in items]), CLUSTERS))


def lens_positions(items: list[Item], fraction: float, seed: int) -> torch.Tensor:
    """Flat positions whose lens is read: in each block a random subset of those with a successor.

    Drawn by (seed, block number), so that batches, shards and resuming change nothing.
    """
    length = len(items[0].tokens)
    number = max(1, round(fraction * (length - 1)))
    picks = []
    for row, item in enumerate(items):
        draw = np.random.default_rng([seed, item.number])
        pick = draw.choice(length - 1, number, replace=False, shuffle=False)
        picks.append(np.sort(pick) + row * length)
    return torch.from_numpy(np.concatenate(picks))
