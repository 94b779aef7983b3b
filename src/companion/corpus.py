"""Where text comes from, and how it becomes fixed-length blocks of tokens with document ids.

Documents are joined with the tokenizer's end-of-text token between them and cut into blocks. What
is left out is counted: tokens beyond a document's limit, and those that do not fill a last block.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from companion.runtime import InputError, hub_reachable

TRAIN_PACKAGES = ("torch", "transformers", "sympy", "pandas", "scipy", "numpy", "matplotlib")
"""Pinned dependencies whose Python source trains the ladder."""

HELD_OUT_PACKAGES = (
    *("networkx", "xarray", "seaborn", "docutils", "papermill", "jinja2", "rich"),
    *("sphinx", "ipython", "nbformat", "nbclient", "pooch"),
)
"""Pinned dependencies kept out of training: pure Python, so the same files on every platform."""

DOCUMENT_TOKENS = 1024
"""Tokens taken of one document by default, as in the paper: many documents, not a few long ones."""

TEXT_FIELDS = ("text", "content")
ENCODE_AT_ONCE = 64


class Document(NamedTuple):
    """One text and the name by which its source knows it."""

    name: str
    text: str


class Block(NamedTuple):
    """`length` consecutive tokens and, for each, the number of the document that it is from."""

    tokens: np.ndarray
    documents: np.ndarray


@dataclass(frozen=True)
class Source:
    """A named, re-iterable stream of documents.

    `facts` says what is known before reading, e.g. package versions.
    """

    name: str
    read: Any
    facts: dict[str, Any] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Document]:
        return iter(self.read())


@dataclass
class Blocks:
    """Blocks of a source; iterate as often as needed, the manifest tells of the last time.

    Parameters
    ----------
    source : Source
    tokenizer : a transformers tokenizer
    length : int
        Tokens in a block.
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

    def __post_init__(self) -> None:
        if self.length < 2:
            raise InputError(f"block length {self.length} is too short: use at least 2 tokens")
        if self.tokens is not None and self.tokens < self.length:
            raise InputError(
                f"{self.tokens} tokens do not fill a block of {self.length}: ask for more tokens"
            )

    def __iter__(self) -> Iterator[Block]:
        counts: dict[str, Any] = {
            "documents": 0,
            "blocks": 0,
            "tokens": 0,
            "cut": 0,
            "remainder": 0,
        }
        digest = hashlib.sha256()
        self.counts = counts
        tokens = np.empty(0, np.int64)
        documents = np.empty(0, np.int64)
        for number, whole in enumerate(_encoded(self.source, self.tokenizer, digest)):
            ids = whole[: self.document_tokens]
            counts["documents"] += 1
            counts["cut"] += len(whole) - len(ids)
            tokens = np.concatenate([tokens, ids])
            documents = np.concatenate([documents, np.full(len(ids), number)])
            full = len(tokens) // self.length * self.length
            for start in range(0, full, self.length):
                if self._enough():
                    counts["sha256"] = digest.hexdigest()
                    return
                counts["blocks"] += 1
                counts["tokens"] += self.length
                cut = slice(start, start + self.length)
                yield Block(tokens[cut], documents[cut])
            tokens, documents = tokens[full:], documents[full:]
        counts["remainder"] = len(tokens)
        counts["sha256"] = digest.hexdigest()
        if not counts["blocks"]:
            raise InputError(
                f"corpus {self.source.name!r} holds {len(tokens)} tokens, "
                f"fewer than one block of {self.length}"
            )

    def _enough(self) -> bool:
        return self.tokens is not None and self.counts["tokens"] + self.length > self.tokens

    def manifest(self) -> dict[str, Any]:
        """What was read: the source's facts; counts of documents, blocks, tokens, tokens cut off
        and in the remainder; sha256 of the text.

        `short_of` says how many of the tokens asked for the corpus did not have.
        """
        read = self.counts.get("tokens", 0)
        short = max(0, (self.tokens or 0) // self.length * self.length - read)
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
        "python-source" (held-out packages), "python-source:train", a text file, a folder, or
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


def open_source(name: str) -> Source:
    """The documents of corpus `name`, see `blocks`."""
    if name in ("python-source", "python-source:held-out"):
        return python_source(name, HELD_OUT_PACKAGES)
    if name == "python-source:train":
        return python_source(name, TRAIN_PACKAGES)
    if name.startswith("hub:"):
        return hub_source(name)
    path = Path(name).expanduser()
    if path.exists():
        return path_source(name, path)
    raise InputError(
        f"corpus {name!r} is neither python-source, hub:NAME, nor a file or folder that exists"
    )


def python_source(name: str, packages: Iterable[str]) -> Source:
    """The Python files of installed packages, in an order fixed by the hash of their paths.

    Vendored copies of other projects are left out, and of identical files all but one, so that
    no text of a held-out package is in the training set by that way.
    """
    packages = tuple(packages)
    versions = {package: _version(package) for package in packages}
    return Source(name, lambda: _python_documents(packages), {"packages": versions})


def _version(package: str) -> str:
    try:
        return metadata.version(package).split("+")[0]
    except metadata.PackageNotFoundError:
        raise InputError(
            f"package {package!r}, part of python-source, is not installed: pip install {package}"
        ) from None


def _python_documents(packages: tuple[str, ...]) -> Iterator[Document]:
    seen: set[bytes] = set()
    for key in sorted(_python_files(packages), key=_shuffled):
        raw = Path(key.locate()).read_bytes()
        digest = hashlib.sha256(raw).digest()
        if raw.strip() and digest not in seen:
            seen.add(digest)
            yield Document(key.as_posix(), raw.decode("utf-8", errors="replace"))


def _python_files(packages: tuple[str, ...]) -> Iterator[metadata.PackagePath]:
    for package in packages:
        for path in metadata.files(package) or ():
            if path.suffix == ".py" and "_vendor" not in path.parts and ".." not in path.parts:
                yield path


def _shuffled(path: metadata.PackagePath) -> bytes:
    return hashlib.sha256(path.as_posix().encode()).digest()


def path_source(name: str, path: Path) -> Source:
    """A file, or every file below a folder in sorted order; each line of a .jsonl is a document.

    Files that are not UTF-8 text are refused by name rather than skipped.
    """
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    if not files:
        raise InputError(f"corpus folder {name!r} has no files")
    facts = {"files": len(files), "bytes": sum(file.stat().st_size for file in files)}
    return Source(name, lambda: (d for file in files for d in _file_documents(file)), facts)


def _file_documents(file: Path) -> Iterator[Document]:
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError(f"corpus file {str(file)!r} is not UTF-8 text") from None
    if file.suffix != ".jsonl":
        yield Document(file.name, text)
        return
    for number, line in enumerate(text.splitlines()):
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            raise InputError(f"line {number + 1} of {str(file)!r} is not JSON") from None
        yield Document(f"{file.name}:{number}", _text_of(record, str(file)))


def hub_source(name: str) -> Source:
    """A data set of the Hub, streamed: "hub:NAME[:CONFIG[:SPLIT]]", split "train" by default."""
    _, dataset, *rest = name.split(":")
    config = rest[0] if rest and rest[0] else None
    split = rest[1] if len(rest) > 1 else "train"
    if not Path(dataset).exists() and not hub_reachable():
        raise InputError(
            f"corpus {name!r} needs the Hugging Face Hub, which cannot be reached from here: "
            "use python-source, a text file or a folder"
        )
    facts = {"config": config or "default", "split": split}
    return Source(name, lambda: _hub_documents(dataset, config, split), facts)


def _hub_documents(dataset: str, config: str | None, split: str) -> Iterator[Document]:
    try:
        import datasets
    except ImportError:
        raise InputError(
            'corpora of the Hub need the extra "hub": pip install "depth-companion[hub]"'
        ) from None
    try:
        stream = datasets.load_dataset(dataset, config, split=split, streaming=True)
    except (FileNotFoundError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"data set {dataset!r} could not be opened: {reason}") from error
    for number, record in enumerate(stream):
        yield Document(str(number), _text_of(record, dataset))


def _text_of(record: Any, where: str) -> str:
    for key in TEXT_FIELDS:
        if isinstance(record, dict) and isinstance(record.get(key), str):
            return record[key]
    have = ", ".join(record) if isinstance(record, dict) else type(record).__name__
    raise InputError(
        f"a record of {where!r} has no field {' or '.join(TEXT_FIELDS)}: it has {have}"
    )


def _encoded(source: Source, tokenizer: Any, digest: Any) -> Iterator[np.ndarray]:
    """Token ids of each document, end-of-text appended, encoded several at once."""
    end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
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
