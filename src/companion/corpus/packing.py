"""How text becomes fixed-length blocks of tokens with document ids (floor 1).

Documents are joined with the tokenizer's end-of-text token behind each that is taken whole, and cut
into blocks. What is left out is counted: tokens beyond a document's limit, and those that do not
fill a last block.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field

from companion.corpus.names import open_source
from companion.corpus.sources import Document, Source
from companion.errors import InputError
from companion.settings import Whole, settings

DOCUMENT_TOKENS = 1024
"""Tokens taken of one document by default, as in the paper: many documents, not a few long ones."""

ENCODE_AT_ONCE = 64
COUNTS = ("documents", "blocks", "tokens", "cut", "remainder")


@settings("text")
class Text:
    """Which text is read, and how much of it.

    Parameters
    ----------
    corpus : str
        english, python-source, a file or folder, or hub:NAME[:CONFIG[:SPLIT]].
    tokens : int
        Tokens to read, in whole blocks.
    block_length : int
        Tokens in a block.
    """

    corpus: str = "python-source"
    tokens: Annotated[Whole, Field(ge=1)] = 32_768
    block_length: Annotated[Whole, Field(ge=2)] = 256


class Block(NamedTuple):
    """`length` consecutive tokens and, for each, the number of the document that it is from."""

    tokens: np.ndarray
    documents: np.ndarray


@dataclass
class Blocks:
    """Blocks of a source; iterate as often as needed, the manifest tells of the last time.

    Parameters
    ----------
    source : Source
    tokenizer : a transformers tokenizer
    length : int
        Tokens in a block, the begin-of-text token before it included.
    tokens : int or None
        Stop after this many tokens, in whole blocks; None reads everything.
    document_tokens : int or None
        Take at most this many tokens of a document, its first ones.
    """

    source: Source
    tokenizer: Any
    length: int
    tokens: int | None = None
    document_tokens: int | None = DOCUMENT_TOKENS
    counts: dict[str, Any] = field(default_factory=dict, init=False)
    ended: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        if self.length < 2:
            raise InputError(f"block length {self.length} is too short: use at least 2 tokens")
        if self.tokens is not None and self.tokens < self.length:
            raise InputError(
                f"{self.tokens} tokens do not fill a block of {self.length}: ask for more tokens"
            )

    def __iter__(self) -> Iterator[Block]:
        counts: dict[str, Any] = dict.fromkeys(COUNTS, 0)
        digest = hashlib.sha256()
        self.counts, self.ended = counts, False
        begin, limit = np.array(self.begin, np.int64), self.limit
        text = self.length - len(begin)
        tokens = documents = np.empty(0, np.int64)
        for number, whole in enumerate(_encoded(self.source, self.tokenizer, digest)):
            ids = whole[:limit]
            counts["documents"] += 1
            counts["cut"] += len(whole) - len(ids)
            tokens = np.concatenate([tokens, ids])
            documents = np.concatenate([documents, np.full(len(ids), number)])
            while len(tokens) >= text:
                counts["sha256"] = digest.hexdigest()
                if self._enough():
                    return
                counts["blocks"] += 1
                counts["tokens"] += self.length
                its = np.concatenate([documents[: len(begin)], documents[:text]])
                yield Block(np.concatenate([begin, tokens[:text]]), its)
                tokens, documents = tokens[text:], documents[text:]
        self.ended = True
        counts |= {"remainder": len(tokens), "sha256": digest.hexdigest()}
        if not counts["blocks"]:
            raise InputError(
                f"corpus {self.source.name!r} holds {len(tokens)} tokens, "
                f"fewer than one block of {self.length}"
            )

    @property
    def begin(self) -> list[int]:
        """What stands before each block: the begin-of-text token of a tokenizer that puts one
        before a text of its own accord, since models of such tokenizers expect it."""
        token = getattr(self.tokenizer, "bos_token_id", None)
        (ids,) = self.tokenizer(["a"], verbose=False)["input_ids"]
        return [token] if token is not None and list(ids[:1]) == [token] else []

    @property
    def limit(self) -> int | None:
        """Tokens of a document that are taken; of one long text, all."""
        return None if self.source.one_text else self.document_tokens

    def _enough(self) -> bool:
        return self.tokens is not None and self.counts["tokens"] + self.length > self.tokens

    def manifest(self) -> dict[str, Any]:
        """What was read: the source's facts; counts of documents, blocks, tokens, tokens cut off
        and in the remainder; sha256 of the text.

        `short_of` says how many of the tokens asked for the corpus did not have.
        """
        asked = (self.tokens or 0) // self.length * self.length if self.ended else 0
        short = max(0, asked - self.counts.get("tokens", 0))
        shape = {"corpus": self.source.name, "length": self.length, "short_of": short}
        return shape | self.source.facts | self.counts


def blocks(
    name: str,
    tokenizer: Any,
    length: int,
    tokens: int | None = None,
    document_tokens: int | None = DOCUMENT_TOKENS,
) -> Blocks:
    """The blocks of corpus `name`.

    Parameters
    ----------
    name : str
        "python-source" (held-out packages), "python-source:train", a text file (a .jsonl holds a
        document a line, any other is one long text in passages), a folder, or
        "hub:NAME[:CONFIG[:SPLIT]]", a data set of the Hugging Face Hub (or a folder in its layout).
    tokenizer : a transformers tokenizer
    length : int
        Tokens in a block.
    tokens : int, optional
        How many tokens to read at most, in whole blocks.
    document_tokens : int or None
        How many tokens of one document to take at most; None takes whole documents.

    Raises
    ------
    InputError
        If the corpus does not exist, cannot be reached, or fills no block.
    """
    return Blocks(open_source(name), tokenizer, length, tokens, document_tokens)


def _encoded(source: Source, tokenizer: Any, digest: Any) -> Iterator[np.ndarray]:
    """Token ids of each document, end-of-text appended, encoded several at once."""
    separate = tokenizer.eos_token_id is not None and not source.one_text
    end = [tokenizer.eos_token_id] if separate else []
    for batch in _batched(source):
        for document in batch:
            digest.update(document.text.encode())
        texts = [document.text for document in batch]
        for ids in tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]:
            yield np.array(ids + end, dtype=np.int64)


def _batched(documents: Iterable[Document]) -> Iterator[list[Document]]:
    rest = iter(documents)
    while batch := list(islice(rest, ENCODE_AT_ONCE)):
        yield batch
