"""What holds for the project as a whole: the direction of imports, what is exported, and what is never called."""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path
from typing import get_origin

import pytest

import indexer
import models
import service

ROOT = Path(__file__).parent.parent
ROOMS = ("models", "indexer", "service")


@pytest.mark.parametrize("room", ROOMS)
def test_imports_go_one_way(room):
    above = ROOMS[ROOMS.index(room) + 1 :]
    for path in (ROOT / room).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.split(".")[0] in (*above, "tests", "benchmarks")], path


def modules_imported(path):
    """Modules of this project that a file imports, anywhere in it except for type checkers alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    guarded = [
        node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    skipped = {id(node) for block in guarded for node in ast.walk(block)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ROOMS and id(node) not in skipped:
            for alias in node.names:
                place = ROOT.joinpath(*node.module.split("."), alias.name)
                yield (
                    f"{node.module}.{alias.name}"
                    if place.is_dir() or place.with_suffix(".py").exists()
                    else node.module
                )


def test_no_imports_go_in_circles():
    paths = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in paths]
    graph = {name: set(modules_imported(path)) - {name} for name, path in zip(names, paths, strict=True)}
    assert len(list(TopologicalSorter(graph).static_order())) >= len(paths) > 200


@pytest.mark.parametrize("package", [models, indexer, service])
def test_public_names_exist_and_are_documented(package):
    """The linter keeps ``__all__`` in order; constants and aliases of types have no docstring to ask for."""
    for name in package.__all__:
        value = getattr(package, name)
        assert value.__doc__ or not callable(value) or get_origin(value), name


def test_no_unpickling():
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"\bimport pickle|pickle\.load|torch\.load\(|allow_pickle=True|joblib", text), path
