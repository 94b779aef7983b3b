"""The house: every room imports only from the floors below its own, and starts light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import companion

FLOORS = {
    0: {
        *("errors", "files", "runtime", "provenance", "settings"),
        *("geometry", "regimes", "statistics", "runs"),
    },
    1: {"corpus", "models", "tables"},
    2: {"probing", "interventions", "scaling", "toy", "ladder"},
    3: {"evidence"},
    4: {"plotting"},
    5: {"chapters"},
    6: {"cli"},
}
FLOOR_OF = {room: floor for floor, rooms in FLOORS.items() for room in rooms}
FOUNDATION = {"errors", "files", "runtime", "provenance"}  # the ground that floor 0 stands on
HOME = Path(companion.__file__).parent
HEAVY = {"torch", "transformers", "matplotlib", "seaborn", "scipy", "pandas", "xarray", "numpy"}
ROOMS = sorted(
    {path.relative_to(HOME).parts[0].removesuffix(".py") for path in HOME.glob("*/*.py")}
    | {path.stem for path in HOME.glob("*.py")} - {"__init__"}
)


def _imports(tree: ast.AST) -> Iterator[str]:
    """Full names of everything imported, at module level or inside a function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import of {node.module}"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _files(room: str) -> list[Path]:
    return (
        [HOME / f"{room}.py"] if (HOME / f"{room}.py").exists() else [*(HOME / room).rglob("*.py")]
    )


def _rooms_used(path: Path) -> set[str]:
    names = _imports(ast.parse(path.read_text("utf-8")))
    parts = [name.split(".") for name in names if name.startswith("companion.")]
    return {part[1] for part in parts} & set(FLOOR_OF)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_from_lower_floors(room):
    assert room in FLOOR_OF, f"{room} has no floor"
    used = set().union(*map(_rooms_used, _files(room))) - {room}
    above = {other for other in used if FLOOR_OF[other] >= FLOOR_OF[room]}
    assert above - FOUNDATION == set()


@pytest.mark.parametrize("path", sorted(HOME.rglob("*.py")), ids=lambda p: str(p.relative_to(HOME)))
def test_modules_and_functions_stay_small(path):
    text = path.read_text("utf-8")
    assert text.count("\n") <= 320
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    sizes = {
        node.name: _body_lines(node)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, functions)
    }
    assert {name: size for name, size in sizes.items() if size > 40} == {}


def _body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of code below the signature; a docstring explains, and does not count."""
    code = node.body[1:] if ast.get_docstring(node) else node.body
    return (node.end_lineno or 0) - code[0].lineno + 1 if code else 0


def test_importing_the_package_loads_nothing_heavy():
    code = f"import sys, companion; print(*sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("name", companion.__all__)
def test_every_public_name_loads(name):
    assert getattr(companion, name) is not None
    assert name in dir(companion)


def test_an_unknown_public_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'depth'"):
        _ = companion.depth
