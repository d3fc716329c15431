"""Modules do not import each other in circles, neither at their beginning nor in functions.

The parts of a connection in ``wsgi/server`` call each other, and so know each other's types.  They are
the only modules with a circle of imports for types alone.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "factstore"
KNOW_EACH_OTHER = "factstore.wsgi.server."
STATEMENTS = ast.stmt | ast.ExceptHandler | ast.match_case
Imports = list[tuple[str, str, bool]]
"""Modules, the names that are imported from them, and whether only the type checker imports them."""


@cache
def modules() -> dict[str, Imports]:
    """Return the imports of each module. Its syntax tree is not kept, as all of them are large."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = imports(path.read_text(encoding="utf-8"))
    return found


def imports(source: str) -> Imports:
    return list(imports_below(ast.parse(source), types=False))


def imports_below(node: ast.AST, *, types: bool) -> Iterator[tuple[str, str, bool]]:
    """Yield the imports of a part of a module.

    :param types: whether only the type checker imports them.
    """
    if isinstance(node, ast.If) and not types:
        types = "TYPE_CHECKING" in ast.dump(node.test)
    if isinstance(node, ast.Import):
        yield from ((alias.name, "", types) for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module is not None:
        yield from ((node.module, alias.name, types) for alias in node.names)
    for child in ast.iter_child_nodes(node):
        if isinstance(child, STATEMENTS):
            yield from imports_below(child, types=types)


def graph(sources: dict[str, Imports], *, types: bool) -> dict[str, set[str]]:
    """Return the modules that each module imports.

    :param types: also those that only the type checker imports.
    """
    found = {}
    for name, imported in sources.items():
        wanted = {
            full if (full := f"{module}.{part}") in sources else module
            for module, part, for_types in imported
            if types or not for_types
        }
        found[name] = wanted & sources.keys() - {name}
    return found


def circle(found: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(found).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert circle(graph(modules(), types=False)) == []


def test_types_are_imported_in_circles_only_among_the_parts_of_a_connection() -> None:
    found = graph(modules(), types=True)
    for name, imported in found.items():
        if name.startswith(KNOW_EACH_OTHER):
            found[name] = {each for each in imported if not each.startswith(KNOW_EACH_OTHER)}
    assert circle(found) == []


@pytest.mark.parametrize("where", ["import b", "def f(): import b", "if x:\n    from b import y"])
def test_a_circle_is_found(where: str) -> None:
    sources = {"a": imports(where), "b": imports("from c import z"), "c": imports("import a")}
    assert set(circle(graph(sources, types=False))) == {"a", "b", "c"}
    sources["c"] = imports("if TYPE_CHECKING:\n    import a")
    assert circle(graph(sources, types=False)) == []
    assert circle(graph(sources, types=True)) != []
