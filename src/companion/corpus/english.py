"""English prose that every machine with the environment has already (floor 1).

The language reference that Python carries for its `help()`, a document a topic, and the docstrings
of pinned packages that did not train the ladder, a document a module; code, tables, lists of
parameters and what stands in several places left out.
"""

from __future__ import annotations

import ast
import hashlib
import platform
import re
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from importlib import metadata
from pathlib import Path

from companion.corpus.sources import Document, Source, package_files, package_versions
from companion.errors import InputError

PACKAGES = (
    *("networkx", "sqlalchemy", "xarray", "huggingface_hub", "mpmath", "ipython", "tornado"),
    *("pydantic", "seaborn", "sphinx", "docutils", "pillow", "babel", "pooch"),
    *("prompt_toolkit", "rich", "click", "jinja2", "beautifulsoup4", "fsspec", "traitlets"),
    *("pybtex", "packaging", "attrs", "filelock", "h5py", "papermill", "nbclient", "nbformat"),
)
"""Pinned dependencies whose docstrings are read; none of them is among `TRAIN_PACKAGES`."""

EXPOSURE = (
    "Text of widely copied open-source projects: models trained on code or on the web, "
    "smollm2-135m and gemma3-270m among them, have in all likelihood seen most of it; "
    "the ladder has not been trained on these packages."
)
FEWEST_CHARACTERS = 300
FEWEST_WORDS = 8
LETTERS = 0.75
"""Share of a paragraph's characters that are letters or spaces, from which on it is prose."""

_FIELD = re.compile(
    r"^\s*(:\w[^:]*:|\.\. |>>> |[-=~^*+]{3,}|\w+ : |"
    r"(Args|Arguments|Parameters|Returns|Raises|Yields|Attributes|Examples?)\s*:?\s*$|"
    r"(Args|Returns|Raises|Yields|Attributes):\s)"
)
_CODE = re.compile(r"[{}\[\]<>=|\\_]")


def english_source(name: str) -> Source:
    """Prose in English, documents whole, in an order fixed by the hash of their names.

    Raises
    ------
    InputError
        If a package is not installed, or Python came without its reference.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise InputError("corpus 'english' needs pydoc_data, which this Python lacks") from None
    facts = {
        "packages": package_versions(PACKAGES, name),
        "python": platform.python_version(),
        "exposure": EXPOSURE,
    }
    return Source(name, lambda: _prose_documents(topics), facts)


def _prose_documents(topics: dict[str, str]) -> Iterator[Document]:
    """Topics and modules in the order of their names' hashes; every paragraph once: what several
    share belongs to the first that has it. A module is parsed only when its turn comes."""
    texts: dict[str, Callable[[], str]] = {
        f"python reference: {topic}": partial(str, text) for topic, text in topics.items()
    }
    texts |= {path.as_posix(): partial(_docstrings, path) for path in package_files(PACKAGES)}
    seen: set[bytes] = set()
    for name in sorted(texts, key=lambda name: hashlib.sha256(name.encode()).digest()):
        text = "\n\n".join(_unseen(prose(texts[name]()), seen))
        if len(text) >= FEWEST_CHARACTERS:
            yield Document(name, text)


def _unseen(paragraphs: list[str], seen: set[bytes]) -> Iterator[str]:
    for paragraph in paragraphs:
        digest = hashlib.sha256(paragraph.encode()).digest()
        if digest not in seen:
            seen.add(digest)
            yield paragraph


def _docstrings(path: metadata.PackagePath) -> str:
    """All docstrings of a module, in the order of its lines."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        tree = _parsed(path)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(tree) if isinstance(node, documented)]
    nodes.sort(key=lambda node: getattr(node, "lineno", 0))
    return "\n\n".join(ast.get_docstring(node) or "" for node in nodes)


def _parsed(path: metadata.PackagePath) -> ast.AST:
    """The module; one that this Python cannot parse (written for another one) holds nothing."""
    try:
        return ast.parse(Path(path.locate()).read_bytes())
    except (SyntaxError, ValueError):
        return ast.Module([], [])


def prose(text: str) -> list[str]:
    """The paragraphs of `text` that are English sentences, each on one line.

    A paragraph counts if it has at least `FEWEST_WORDS` words, ends like a sentence, consists of
    letters for the most part, and no line of it is a directive, a field, a prompt or an underline.
    """
    found = []
    for lines in _paragraphs(text):
        one = " ".join(" ".join(lines).split())
        if _is_prose(one) and not any(_FIELD.match(line) for line in lines):
            found.append(one)
    return found


def _paragraphs(text: str) -> Iterator[list[str]]:
    for paragraph in re.split(r"\n\s*\n", text):
        if lines := paragraph.strip("\n").splitlines():
            yield lines


def _is_prose(one: str) -> bool:
    letters = sum(c.isalpha() or c == " " for c in one)
    return (
        len(one.split()) >= FEWEST_WORDS
        and one[0].isalpha()
        and one.rstrip("\"'`)*").endswith((".", "!", "?", ":"))
        and not one.endswith("::")
        and letters >= LETTERS * len(one)
        and len(_CODE.findall(one)) <= len(one) / 50
    )
