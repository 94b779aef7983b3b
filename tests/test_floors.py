"""The house: floors, no circles, folders of one look, a docstring everywhere, a light start."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import companion
from companion.files import checkout
from companion.rooms import FLOORS, FOUNDATION, HOME, imports, modules, picture, uses

FLOOR_OF = {room: floor for floor, rooms in FLOORS.items() for room in rooms}
HEAVY = {"torch", "transformers", "matplotlib", "seaborn", "scipy", "pandas", "xarray", "numpy"}
ROOMS = sorted(
    {path.relative_to(HOME).parts[0].removesuffix(".py") for path in HOME.glob("*/*.py")}
    | {path.stem for path in HOME.glob("*.py")} - {"__init__"}
)
MOST_MODULES = 11
PLACES = ("", "src/companion")
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def _at_run_time(tree: ast.Module) -> ast.Module:
    """Without what only a type checker imports."""
    body = [n for n in tree.body if not (isinstance(n, ast.If) and "TYPE_CHECKING" in ast.dump(n))]
    return ast.Module(body, [])


def _module(path: Path) -> str:
    parts = path.relative_to(HOME.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_from_lower_floors(room):
    assert room in FLOOR_OF, f"{room} has no floor"
    above = {other for other in uses(room) if FLOOR_OF[other] >= FLOOR_OF[room]}
    assert above - set(FOUNDATION) == set()
    for path in modules(room):
        relative = [n for n in ast.walk(ast.parse(path.read_text("utf-8"))) if _is_relative(n)]
        assert relative == [], path


def _is_relative(node: ast.AST) -> bool:
    return isinstance(node, ast.ImportFrom) and node.level > 0


def test_the_picture_shows_every_room_on_its_floor():
    space = {"svg": "http://www.w3.org/2000/svg"}
    drawn = ElementTree.fromstring(picture())
    boxes = {box.findtext("svg:text", "", space): box for box in drawn.iterfind("svg:g", space)}
    height = {room: float(box.find("svg:rect", space).get("y")) for room, box in boxes.items()}
    assert sorted(height) == ROOMS
    pairs = [(low, high) for low in ROOMS for high in ROOMS if FLOOR_OF[low] < FLOOR_OF[high]]
    assert [(low, high) for low, high in pairs if height[low] <= height[high]] == []
    assert "Imports chapters, " in boxes["cli"].findtext("svg:title", "", space)


@pytest.mark.parametrize("room", ROOMS)
def test_modules_of_a_room_do_not_import_one_another_in_a_circle(room):
    trees = {_module(path): ast.parse(path.read_text("utf-8")) for path in modules(room)}

    def home_of(name: str) -> str:
        while name and name not in trees:
            name = name.rpartition(".")[0]
        return name

    used = {
        name: {home_of(one) for one in imports(_at_run_time(tree))} - {"", name}
        for name, tree in trees.items()
    }
    try:
        TopologicalSorter(used).prepare()
    except CycleError as circle:
        pytest.fail(" -> ".join(circle.args[1]), pytrace=False)


@pytest.mark.parametrize(
    "folder", sorted({path.parent for path in HOME.rglob("*/*.py")} - {HOME}), ids=_module
)
def test_a_folder_is_taken_in_at_one_look(folder):
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    rooms = {path.parent.name for path in folder.glob("*/*.py")}
    assert len(modules | rooms) <= MOST_MODULES


@pytest.mark.parametrize("path", sorted(HOME.rglob("*.py")), ids=lambda p: str(p.relative_to(HOME)))
def test_modules_and_functions_are_small_and_say_what_they_are(path):
    text = path.read_text("utf-8")
    assert text.count("\n") <= 320
    tree = ast.parse(text)
    functions = [node for node in ast.walk(tree) if isinstance(node, FUNCTIONS)]
    sizes = {node.name: _body_lines(node) for node in functions}
    assert {name: size for name, size in sizes.items() if size > 40} == {}
    assert [name for name, node in _public(tree) if not ast.get_docstring(node)] == []


def _public(tree: ast.Module | ast.ClassDef, within: str = "") -> Iterator[tuple[str, ast.AST]]:
    """Public functions, classes, methods; `forward` is torch's, and means what it means there."""
    for node in tree.body:
        if isinstance(node, FUNCTIONS) and node.name[0] != "_" and node.name != "forward":
            yield within + node.name, node
        elif isinstance(node, ast.ClassDef) and node.name[0] != "_":
            yield within + node.name, node
            yield from _public(node, f"{within}{node.name}.")


def _body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of code below the signature; a docstring explains, and does not count."""
    code = node.body[1:] if ast.get_docstring(node) else node.body
    return (node.end_lineno or 0) - code[0].lineno + 1 if code else 0


def test_contributing_names_files_that_are_there():
    root = checkout()
    assert root is not None
    named = re.findall(r"`([\w/]+\.(?:py|yaml))`", (root / "CONTRIBUTING.md").read_text("utf-8"))
    assert len(named) > 10
    assert [one for one in named if not any((root / at / one).exists() for at in PLACES)] == []


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
