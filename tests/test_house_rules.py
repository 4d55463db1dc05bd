"""House rules that no linter knows: sizes, stub words, docstrings, who touches the stream runtime."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import TypeGuard

import pytest

PACKAGES = ("nengliu", "flows", "acquisition", "dashboards", "schemas")
LONGEST_FUNCTION = 60
LONGEST_MODULE = 500
STUB = re.compile(r"\b(TODO|FIXME|XXX|HACK|NotImplementedError|placeholder(?!=)|stubbed|hard-?coded)\b")
BAD_NAMES = {"utils", "helpers", "common", "manager", "misc"}

FILES = sorted(
    file
    for package in PACKAGES
    for file in Path(str(resources.files(package))).rglob("*.py")
    if "__pycache__" not in file.parts
)
TESTS = sorted(Path(__file__).parent.rglob("*.py"))


def functions(file: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_functions_stay_below_the_wall() -> None:
    """No function is longer than 60 lines; the list of exceptions is empty."""
    long = {
        f"{file.name}:{node.lineno} {node.name}": node.end_lineno - node.lineno + 1
        for file in FILES
        for node in functions(file)
        if node.end_lineno and node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION
    }

    assert long == {}


def test_modules_stay_below_the_wall() -> None:
    """No module is longer than 500 lines."""
    sizes = {str(file): len(file.read_text(encoding="utf-8").splitlines()) for file in [*FILES, *TESTS]}

    assert {name: size for name, size in sizes.items() if size > LONGEST_MODULE} == {}


def test_nothing_is_left_unfinished() -> None:
    """No stub and no note to oneself is shipped."""
    found = [
        f"{file}:{number}"
        for file in FILES
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if STUB.search(line)
    ]

    assert found == []


def test_public_functions_and_modules_are_described() -> None:
    """Every module, public class and public function says what it means."""
    bare = []
    for file in FILES:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        if tree.body and ast.get_docstring(tree) is None:
            bare.append(str(file))
        bare += [
            f"{file}:{node.lineno} {node.name}"
            for node in [
                *tree.body,
                *(child for c in tree.body if _is_public_class(c) for child in c.body),
            ]
            if isinstance(node, ast.FunctionDef | ast.ClassDef)
            and not node.name.startswith("_")
            and ast.get_docstring(node) is None
        ]

    assert bare == []


def test_tests_state_the_truth_they_prove() -> None:
    """Every test has a sentence of its own."""
    bare = [
        f"{file.name}:{node.lineno} {node.name}"
        for file in TESTS
        for node in functions(file)
        if node.name.startswith("test_") and not (ast.get_docstring(node) or "").rstrip().endswith((".", "?"))
    ]

    assert bare == []


def test_errors_are_caught_by_name() -> None:
    """Nobody catches everything: a broken program must be seen."""
    found = [
        f"{file}:{node.lineno}"
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler)
        and (
            node.type is None
            or (isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"})
        )
    ]

    assert found == []


def test_file_names_say_what_is_inside() -> None:
    """There is no drawer for things without a place."""
    assert [str(file) for file in FILES if file.stem in BAD_NAMES] == []


@pytest.mark.parametrize(
    ("library", "room"),
    [
        ("bytewax", "flows"),
        ("clickhouse_connect", "storage"),
        ("chdb", "storage"),
        ("streamlit", "dashboards"),
    ],
)
def test_library_is_imported_in_one_room(library: str, room: str) -> None:
    """A replaceable part is touched in one place only, lazily imported or not."""
    wanted = re.compile(rf"^\s*(?:import|from) {library}\b", re.MULTILINE)
    rooms = {
        part for file in FILES if wanted.search(file.read_text(encoding="utf-8")) for part in [_room(file)]
    }

    assert rooms <= {room}


def _is_public_class(node: ast.stmt) -> TypeGuard[ast.ClassDef]:
    return isinstance(node, ast.ClassDef) and not node.name.startswith("_")


def _room(file: Path) -> str:
    package = next(name for name in reversed(file.parts) if name in PACKAGES)
    after = file.parts[len(file.parts) - 1 - file.parts[::-1].index(package) :]
    return after[1] if package == "nengliu" and len(after) > 2 else package
