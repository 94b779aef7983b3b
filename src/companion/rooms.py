"""The rooms of this package and the floors they stand on: a test holds them, the book draws them.

Floor 0. A room is a module or a folder of this package; it imports only from floors below its own.
"""

from __future__ import annotations

import ast
import html
from collections.abc import Iterator
from pathlib import Path

HOME = Path(__file__).parent
FLOORS: dict[int, tuple[str, ...]] = {
    0: (
        *("errors", "files", "settings", "runtime", "provenance", "rooms"),
        *("geometry", "regimes", "statistics", "runs"),
    ),
    1: ("corpus", "models", "tables"),
    2: ("probing", "interventions", "scaling", "toy", "ladder"),
    3: ("evidence",),
    4: ("plotting",),
    5: ("chapters",),
    6: ("cli",),
}
# What the rest of floor 0 may stand on.
FOUNDATION = ("errors", "files", "settings", "runtime", "provenance")
WIDTH, HEIGHT, MARGIN, LABEL = 760, 30, 10, 60
ROW = 5


def modules(room: str) -> list[Path]:
    """The files of a room."""
    alone = HOME / f"{room}.py"
    return [alone] if alone.exists() else sorted((HOME / room).rglob("*.py"))


def imports(tree: ast.AST) -> Iterator[str]:
    """Full names of everything that a module imports, at its head or inside a function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def uses(room: str) -> set[str]:
    """The other rooms from which a room imports."""
    trees = (ast.parse(path.read_text("utf-8")) for path in modules(room))
    parts = [name.split(".") for tree in trees for name in imports(tree)]
    named = {part[1] for part in parts if part[0] == "companion" and len(part) > 1}
    return (named & {name for rooms in FLOORS.values() for name in rooms}) - {room}


def says(room: str) -> str:
    """The first sentence of a room's docstring."""
    head = next(path for path in modules(room) if path.stem in (room, "__init__"))
    return (ast.get_docstring(ast.parse(head.read_text("utf-8"))) or "").partition("\n")[0]


def picture() -> str:
    """The rooms as a drawing in SVG: a row or two a floor, the ground at the bottom.

    Each box tells, to whoever points at it, what its room is for and from which it imports.
    """
    parts, y = [], MARGIN
    for floor in sorted(FLOORS, reverse=True):
        there = [room for room in FLOORS[floor] if modules(room)]
        parts.append(f'<text x="{MARGIN}" y="{y + 20}" font-size="12">floor {floor}</text>')
        for start in range(0, len(there), ROW):
            parts += _row(there[start : start + ROW], y)
            y += HEIGHT + MARGIN
    label = "Rooms of the package by floor, the ground floor at the bottom"
    box = f'viewBox="0 0 {WIDTH} {y}" role="img" aria-label="{label}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {box} class="rooms" fill="currentColor" '
        f'font-family="sans-serif" text-anchor="start">{"".join(parts)}</svg>'
    )


def _row(rooms: list[str], y: int) -> Iterator[str]:
    width = (WIDTH - LABEL - MARGIN) // ROW
    for place, room in enumerate(rooms):
        x = LABEL + MARGIN + place * width
        told = f"{says(room)} Imports {', '.join(sorted(uses(room))) or 'no other room'}."
        yield (
            f'<g><title>{html.escape(told)}</title><rect x="{x}" y="{y}" width="{width - MARGIN}" '
            f'height="{HEIGHT}" rx="4" fill="none" stroke="currentColor" pointer-events="all"/>'
            f'<text x="{x + 10}" y="{y + 20}" font-size="14">{room}</text></g>'
        )
