"""Nothing of a worker keeps a function of the standard library from before gevent replaces it.

The default value of a parameter is evaluated when its module is imported.  That may be before gevent's
patches, and then a call blocks all requests of the worker.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import factstore

ROOMS = ("core", "store", "keys", "watch", "notify", "api", "console", "wsgi")
PATCHED = {"time.sleep", "threading", "queue", "select", "socket", "ssl", "subprocess", "os.fork"}
"""Functions and modules that gevent replaces."""


def kept(tree: ast.AST) -> Iterator[str]:
    """Yield what default values, and assignments of modules and classes, keep of these."""
    found: list[ast.expr] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.Lambda):
            found += [each for each in (*node.args.defaults, *node.args.kw_defaults) if each]
        elif isinstance(node, ast.Module | ast.ClassDef):
            assigned = (each for each in node.body if isinstance(each, ast.Assign | ast.AnnAssign))
            found += [each.value for each in assigned if each.value is not None]
    for expression in found:
        if isinstance(expression, ast.Attribute) and isinstance(expression.value, ast.Name):
            name, module = f"{expression.value.id}.{expression.attr}", expression.value.id
            if name in PATCHED or (module in PATCHED and not expression.attr.isupper()):
                yield f"{name} at line {expression.lineno}"


def test_no_default_value_is_a_function_that_gevent_replaces() -> None:
    root = Path(factstore.__file__).parent
    found = {
        str(file.relative_to(root)): names
        for room in ROOMS
        for file in (root / room).rglob("*.py")
        if (names := list(kept(ast.parse(file.read_text()))))
    }
    assert found == {}


def test_such_values_are_found() -> None:
    source = """
import threading, time
WAIT = time.sleep
ERROR = threading.TIMEOUT_MAX
class A:
    signal = threading.Event
    def one(self, pause=time.sleep, now=time.monotonic, *, signal=threading.Event): ...
    def two(self, pause=None):
        self.pause = pause or time.sleep
"""
    assert [each.split()[0] for each in kept(ast.parse(source))] == [
        *("time.sleep", "threading.Event", "time.sleep", "threading.Event")
    ]
