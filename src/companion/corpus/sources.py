"""Where text comes from: installed packages, files, data sets of the Hub (floor 1)."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from companion.errors import InputError
from companion.runs import content_hash
from companion.runtime import hub_reachable

TRAIN_PACKAGES = ("torch", "transformers", "sympy", "pandas", "scipy", "numpy", "matplotlib")
"""Pinned dependencies whose Python source trains the ladder."""

HELD_OUT_PACKAGES = (
    *("networkx", "xarray", "seaborn", "docutils", "papermill", "jinja2", "rich"),
    *("sphinx", "ipython", "nbformat", "nbclient", "pooch"),
)
"""Pinned dependencies kept out of training: pure Python, so the same files on every platform."""

TEXT_FIELDS = ("text", "content")
PASSAGE = 4096
"""Characters of a passage of one long text, about a thousand tokens."""


class Document(NamedTuple):
    """One text and the name by which its source knows it."""

    name: str
    text: str


@dataclass(frozen=True)
class Source:
    """A named, re-iterable stream of documents.

    `facts` says what is known before reading, e.g. package versions; `one_text` that the documents
    are consecutive passages of one text, so that nothing is cut and nothing comes between them.
    """

    name: str
    read: Any
    facts: dict[str, Any] = field(default_factory=dict)
    one_text: bool = False

    def __iter__(self) -> Iterator[Document]:
        return iter(self.read())


def python_source(name: str, packages: Iterable[str]) -> Source:
    """The Python files of installed packages, in an order fixed by the hash of their paths.

    Vendored copies of other projects are left out, and of identical files all but one, so that
    no text of a held-out package is in the training set by that way.
    """
    packages = tuple(packages)
    facts = {"packages": package_versions(packages, name)}
    return Source(name, lambda: _python_documents(packages), facts)


def package_versions(packages: Iterable[str], corpus: str) -> dict[str, str]:
    """Installed versions of the packages that a corpus reads; `InputError` where one is missing."""
    return {package: _version(package, corpus) for package in packages}


def _version(package: str, corpus: str) -> str:
    try:
        return metadata.version(package).split("+")[0]
    except metadata.PackageNotFoundError:
        raise InputError(
            f"package {package!r}, part of {corpus}, is not installed: pip install {package}"
        ) from None


def _python_documents(packages: tuple[str, ...]) -> Iterator[Document]:
    seen: set[bytes] = set()
    for key in sorted(package_files(packages), key=_shuffled):
        raw = Path(key.locate()).read_bytes()
        digest = hashlib.sha256(raw).digest()
        if raw.strip() and digest not in seen:
            seen.add(digest)
            yield Document(key.as_posix(), raw.decode("utf-8", errors="replace"))


def package_files(packages: Iterable[str]) -> Iterator[metadata.PackagePath]:
    """The Python files of installed packages, without vendored copies of others."""
    for package in packages:
        for path in metadata.files(package) or ():
            if path.suffix == ".py" and "_vendor" not in path.parts and ".." not in path.parts:
                yield path


def _shuffled(path: metadata.PackagePath) -> bytes:
    return hashlib.sha256(path.as_posix().encode()).digest()


def path_source(name: str, path: Path) -> Source:
    """A file, or every file below a folder in sorted order; each line of a .jsonl is a document.

    A single file that is no .jsonl is one long text: its passages of about `PASSAGE` characters
    take the place of documents. Files that are not UTF-8 text are refused by name, not skipped.
    """
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    if not files:
        raise InputError(f"corpus folder {name!r} has no files")
    # Two texts of one size are two texts: what is in them decides whether a run may go on.
    facts = {"files": len(files), "sha256": _digest(path, name)}
    if not path.is_dir() and path.suffix != ".jsonl":
        return Source(name, lambda: _passages(path), facts | {"passage": PASSAGE}, one_text=True)
    return Source(name, lambda: (d for file in files for d in _file_documents(file)), facts)


def _digest(path: Path, name: str) -> str:
    try:
        return content_hash(path)
    except OSError as error:
        raise InputError(f"corpus {name!r} cannot be read: {error.strerror}") from None


def _passages(file: Path) -> Iterator[Document]:
    with _text(file) as text:
        for number in itertools.count():
            if not (passage := text.read(PASSAGE) + text.readline(PASSAGE)):
                return
            yield Document(f"{file.name}:{number}", passage)


def _file_documents(file: Path) -> Iterator[Document]:
    with _text(file) as text:
        if file.suffix != ".jsonl":
            yield Document(file.name, text.read())
            return
        for number, line in enumerate(text):
            if line.strip():
                record = _record(line, f"line {number + 1} of {str(file)!r}")
                yield Document(f"{file.name}:{number}", _text_of(record, str(file)))


@contextmanager
def _text(file: Path) -> Iterator[TextIO]:
    try:
        with file.open(encoding="utf-8-sig") as text:
            yield text
    except UnicodeDecodeError:
        raise InputError(f"corpus file {str(file)!r} is not UTF-8 text") from None
    except OSError as error:
        raise InputError(f"corpus file {str(file)!r} cannot be read: {error.strerror}") from None


def _record(line: str, where: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError:
        raise InputError(f"{where} is not JSON") from None


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
        import datasets  # pyright: ignore[reportMissingImports]
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
