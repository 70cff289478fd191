"""Docstrings of the standard library and of the installed packages, read without importing them."""

from __future__ import annotations

import ast
import hashlib
import sysconfig
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from models.data.unicode import is_unicode

MOST_DOCUMENTS = 40_000
_MOST_BYTES = 1 << 20  # a larger source file is data, not a program
_SKIPPED = {"site-packages", "test", "tests", "testing", "idlelib", "lib2to3", "_vendor", "vendor", "__pycache__"}


@dataclass(frozen=True, slots=True)
class Docstring:
    """A docstring and the object it documents.

    Attributes:
        name: dotted name, such as ``json.decoder.JSONDecoder``.
        kind: ``module``, ``class`` or ``function``.
        text: the whole docstring, without indentation.
    """

    name: str
    kind: str
    text: str

    @property
    def summary(self) -> str:
        """The first paragraph on one line."""
        return " ".join(self.text.split("\n\n", 1)[0].split())

    @property
    def rest(self) -> str:
        """Everything after the first paragraph."""
        return self.text.partition("\n\n")[2].strip()

    @property
    def held_out(self) -> bool:
        """Whether it is for testing: one in ten, by a hash of the text, so that copies are in the same split."""
        return hashlib.sha256(self.rest.encode()).digest()[0] % 10 == 0

    @property
    def is_pair(self) -> bool:
        """Whether summary and rest are long enough for a training pair."""
        return 10 <= len(self.summary) <= 200 and len(self.rest) >= 40


def read_docstrings(most: int = MOST_DOCUMENTS) -> list[Docstring]:
    """Return public docstrings, each text and name once: the standard library first, then packages by name."""
    found: dict[str, Docstring] = {}
    for module, path in _modules():
        for docstring in _docstrings(module, path):
            found.setdefault(docstring.text, docstring)
        if len(found) >= most:
            break
    names: dict[str, Docstring] = {}
    for docstring in found.values():
        names.setdefault(docstring.name, docstring)
    return list(names.values())[:most]


def _modules() -> Iterator[tuple[str, Path]]:
    roots = dict.fromkeys(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib", "platlib"))
    for root in roots:
        for top in sorted(root.iterdir()):
            for path in sorted(top.rglob("*.py")) if top.is_dir() else [top]:
                parts = path.relative_to(root).with_suffix("").parts
                if path.suffix == ".py" and not _SKIPPED.intersection(parts):
                    yield ".".join(part for part in parts if part != "__init__"), path


def _docstrings(module: str, path: Path) -> Iterator[Docstring]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escape sequences in the sources
            tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return  # not parsable, so without docstrings
    yield from _walk(module, "module", tree)


def _walk(
    name: str, kind: str, node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
) -> Iterator[Docstring]:
    text = (ast.get_docstring(node) or "").strip()
    if len(text) >= 20 and text.isprintable() | ("\n" in text) and is_unicode(text):
        yield Docstring(name, kind, text)
    for child in node.body:
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not child.name.startswith("_"):
            yield from _walk(f"{name}.{child.name}", "class" if isinstance(child, ast.ClassDef) else "function", child)
