"""Who imports whom: one way between the rooms, and never in a circle."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("models", "indexer", "service")


def name_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): path for room in ROOMS for path in (ROOT / room).rglob("*.py")}


def imported_by(path):
    """The names of modules and packages that a file imports, in functions too; not those for type checking alone."""
    found = set()

    def visit(node):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.update(
                name if (name := f"{node.module}.{alias.name}") in MODULES else node.module for alias in node.names
            )
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_imports_go_from_service_to_indexer_to_models(room):
    forbidden = {*ROOMS[ROOMS.index(room) + 1 :], "tests", "benchmarks"}
    for name, path in MODULES.items():
        if name.split(".")[0] == room:
            assert not {other for other in imported_by(path) if other.split(".")[0] in forbidden}, name


def test_no_modules_import_each_other_in_a_circle():
    graph = {name: imported_by(path) & MODULES.keys() - {name} for name, path in MODULES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"import circle: {' -> '.join(error.args[1])}")


def test_relative_imports_are_not_used():
    for path in MODULES.values():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level], path
