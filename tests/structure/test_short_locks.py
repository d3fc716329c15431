"""Nothing waits while it holds a short lock, because that excludes no other greenlets.

See :mod:`factstore.core.short_lock`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import factstore

ROOT = Path(factstore.__file__).parent
WAITS = {"acquire", "call_all", "commit", "join_thread", "pause", "refresh", "sleep", "wait"}
"""Functions that wait, or that call others which may; besides those of a transactor."""


def short_locks(tree: ast.AST) -> set[str]:
    """Return the names of the attributes that a module makes short locks."""
    found = set()
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=targets, value=ast.Call(func=ast.Name("ShortLock"))):
                found |= {each.attr for each in targets if isinstance(each, ast.Attribute)}
    return found


def sections(tree: ast.AST, locks: set[str]) -> Iterator[ast.With]:
    """Yield the ``with`` blocks of short locks, and those of states (``with state.read():``)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.With):
            for item in node.items:
                text = ast.unparse(item.context_expr)
                name = text.rpartition(".")[2]
                if name in locks or (name == "read()" and "state" in text):
                    yield node


def waits(section: ast.With) -> Iterator[str]:
    """Yield what waits in a section."""
    for statement in section.body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Yield | ast.YieldFrom):
                yield f"yield at line {node.lineno}"
            elif isinstance(node, ast.Call):
                owner, _, name = ast.unparse(node.func).rpartition(".")
                if name in WAITS or owner.endswith("transactor"):
                    yield f"{name} at line {node.lineno}"


def test_nothing_waits_while_it_holds_a_short_lock() -> None:
    found, count = {}, 0
    for file in ROOT.rglob("*.py"):
        source = file.read_text()
        if "ShortLock()" not in source and ".read():" not in source:
            continue
        tree = ast.parse(source)
        for section in sections(tree, short_locks(tree)):
            count += 1
            if names := list(waits(section)):
                found[f"{file.relative_to(ROOT)}:{section.lineno}"] = names
    assert found == {}
    assert count > 100  # the names above still find them


def test_such_sections_are_found() -> None:
    source = """
class A:
    def __init__(self):
        self._lock = ShortLock()
    def one(self):
        with self._lock:
            self._done.wait(1)
        with self._other:
            self._done.wait(1)
    def two(self, state):
        with state.read():
            yield self._transactor.run(1)
        with file.read():
            sleep(1)
"""
    tree = ast.parse(source)
    found = [name for each in sections(tree, short_locks(tree)) for name in waits(each)]
    assert found == ["wait at line 7", "yield at line 12", "run at line 12"]
