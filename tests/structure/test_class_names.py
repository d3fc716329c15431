"""A name has one meaning in a room: no two modules define public classes or types with the same one."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import pytest

import factstore

ROOT = Path(factstore.__file__).parent
# In api, the view and the schema of a noun have its name; in wsgi, gunicorn chooses some names.
ROOMS = sorted(
    path.name
    for path in ROOT.iterdir()
    if (path / "__init__.py").exists() and path.name not in {"api", "wsgi"}
)


def types_in(source: str) -> set[str]:
    """Return the names of the public classes and of the aliases of types that a module defines."""
    found = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            targets = {target.id for target in node.targets if isinstance(target, ast.Name)}
            found |= {name for name in targets if len(name) > 1 and not name.isupper()}
    return {name for name in found if name[0].isupper()}


def test_classes_and_aliases_are_found_but_no_constants() -> None:
    source = "class A1: ...\nclass _B: ...\nKind = int\nLIMIT = 5\nvalue = 1\nT = TypeVar('T')"
    assert types_in(source) == {"A1", "Kind"}


@pytest.mark.parametrize("room", ROOMS)
def test_a_name_has_one_meaning_in_a_room(room: str) -> None:
    places = defaultdict(list)
    for file in (ROOT / room).rglob("*.py"):
        for name in types_in(file.read_text()):
            places[name].append(str(file.relative_to(ROOT)))
    assert {name: files for name, files in places.items() if len(files) > 1} == {}
