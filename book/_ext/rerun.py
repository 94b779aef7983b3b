"""A box on each chapter's page with the commands that run it again, differently.

`rerun.yaml` says what to change and what that shows; a command is made of the chapter's name and
those values, and the theme's button copies it. Binder and Colab appear beside the title of every
page once `repository.url` is set in `_config.yml`, the one place for it.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from sphinx.application import Sphinx

SUMMARY = "Rerun this with another model, data set or size"
END = "</details>"


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx's entry point; after the preparation has been folded."""
    app.connect("doctree-read", _insert, priority=600)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


@cache
def ways() -> dict[str, list[dict[str, Any]]]:
    """By chapter: what to set, and what it does."""
    return yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text("utf-8"))


def command(chapter: str, values: Mapping[str, Any]) -> str:
    """What to type to run a chapter with some parameters set."""
    given = (f"-p {shlex.quote(f'{name}={value}')}" for name, value in values.items())
    return " ".join(["companion", "run", chapter, *given, "--out", "mine"])


def _insert(app: Sphinx, doctree: nodes.document) -> None:
    chapter = app.env.docname.rpartition("/")[2]
    top = next(iter(doctree.findall(nodes.section)), None)
    if chapter not in ways() or top is None:
        return
    box = list(_box(chapter, ways()[chapter]))
    ends = [i for i, node in enumerate(top.children) if _closes(node)]
    place = ends[0] + 1 if ends else len(top.children)
    for node in reversed(box):
        top.insert(place, node)


def _closes(node: nodes.Node) -> bool:
    return isinstance(node, nodes.raw) and node.astext() == END


def _box(chapter: str, listed: Iterable[Mapping[str, Any]]) -> Iterable[nodes.Node]:
    opened = f'<details class="preparation rerun"><summary>{SUMMARY}</summary>'
    yield nodes.raw("", opened, format="html")
    for way in listed:
        does = way["does"]
        yield nodes.paragraph(text=f"{does[0].upper()}{does[1:]}:")
        yield nodes.literal_block("", command(chapter, way["set"]), language="bash")
    yield nodes.paragraph(
        text="Parameters are checked before anything runs; the executed notebook, its claims and "
        "its provenance lie in the folder that --out names."
    )
    yield nodes.raw("", END, format="html")
