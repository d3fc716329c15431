"""Rules for the source that a machine can check."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import factstore
from tests.cases import cases

PACKAGE = Path(factstore.__file__).parent
PROJECT = PACKAGE.parent
MODULES = sorted(PACKAGE.rglob("*.py"))
LINES, LINES_WITH_A_REASON = 300, 400
REASON = "longer than 300 lines because"
CLASS = re.compile("_?[A-Z]+[a-z][A-Za-z]*")
EPOCH_ALONE = re.compile(r"\b(state|refresh)\([^)]*\)\.(epoch|cursor)")
CATCH_ALL_NAMES = {
    "utils",
    "util",
    "helpers",
    "helper",
    "manager",
    "common",
    "misc",
    "base_classes",
}


def test_a_long_module_states_its_reason() -> None:
    with cases() as case:
        for module in MODULES:
            text = module.read_text()
            length = len(text.splitlines())
            with case(module.relative_to(PROJECT)):
                assert length <= LINES_WITH_A_REASON
                if length > LINES:
                    docstring = " ".join((ast.get_docstring(ast.parse(text)) or "").split())
                    assert REASON in docstring, f"{length} lines; shorten it or state the reason"


def test_no_view_reads_a_state_for_its_epoch_alone() -> None:
    """The epoch of an answer is that of the state or the write of which the answer is made."""
    with cases() as case:
        for room in ("api", "console", "wsgi"):
            for module in sorted((PACKAGE / room).rglob("*.py")):
                with case(module.relative_to(PROJECT)):
                    assert not EPOCH_ALONE.search(module.read_text())


def test_every_module_has_a_docstring() -> None:
    with cases() as case:
        for module in MODULES:
            with case(module.relative_to(PROJECT)):
                assert module.read_text().startswith('"""')


def test_no_module_is_named_for_anything_and_everything() -> None:
    assert not CATCH_ALL_NAMES & {module.stem for module in MODULES}


def test_the_agent_and_the_client_need_no_python_newer_than_3_9() -> None:
    # Ruff checks the syntax and vermin the standard library; neither checks unions of types.
    with cases() as case:
        for module in (PACKAGE / "agent", PACKAGE / "client"):
            for file in sorted(module.rglob("*.py")):
                text = file.read_text()
                tree = ast.parse(text, feature_version=(3, 9))
                evaluated = list(_without_annotations(tree))
                if "get_type_hints" in text:
                    fields = [each for each in evaluated if isinstance(each, ast.AnnAssign)]
                    evaluated += [node for each in fields for node in ast.walk(each.annotation)]
                with case(file.relative_to(PROJECT)):
                    assert not [node.lineno for node in evaluated if _is_union(node)]


def _without_annotations(tree: ast.AST) -> Iterator[ast.AST]:
    waiting = [tree]
    while waiting:
        for name, value in ast.iter_fields(waiting.pop()):
            if name not in ("annotation", "returns"):
                inner = [each for each in _as_list(value) if isinstance(each, ast.AST)]
                waiting += inner
                yield from inner


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _is_union(node: ast.AST) -> bool:
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.BitOr):
        return False
    return any(
        (isinstance(part, ast.Name) and (part.id in vars(builtins) or CLASS.fullmatch(part.id)))
        or (isinstance(part, ast.Constant) and part.value is None)
        for part in (node.left, node.right)
    )
