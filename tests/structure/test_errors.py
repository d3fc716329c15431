"""Error codes: each raised code has a status, and each status belongs to a raised code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import factstore
from factstore.api.errors import STATUS
from factstore.core import errors

PACKAGE = Path(factstore.__file__).parent
SERVER_ROOMS = ("api", "core", "store", "watch", "wsgi")
WITH_CODE_FIRST = {"respond", "error_body", "problem"}


def trees() -> Iterator[ast.Module]:
    for room in SERVER_ROOMS:
        for file in sorted((PACKAGE / room).rglob("*.py")):
            yield ast.parse(file.read_text())


def constants(node: ast.AST) -> set[str]:
    """Yield all strings that an expression may evaluate to."""
    if isinstance(node, ast.Constant):
        return {node.value} if isinstance(node.value, str) else set()
    if isinstance(node, ast.IfExp):
        return constants(node.body) | constants(node.orelse)
    return set()


def codes_in(tree: ast.Module) -> set[str]:
    """Return the error codes that a module uses."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg == "code":
                    found |= constants(keyword.value)
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name in WITH_CODE_FIRST and node.args:
                found |= constants(node.args[0])
            if name == "_problem" and len(node.args) > 1:
                found |= constants(node.args[1])
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "_BY_STATUS" for target in node.targets
        ):
            found |= {code for value in node.value.values for code in constants(value)}  # type: ignore[attr-defined]
    return found


def raised() -> set[str]:
    classes = {
        kind.code
        for kind in vars(errors).values()
        if isinstance(kind, type)
        and issubclass(kind, errors.FactstoreError)
        and kind is not errors.FactstoreError
    }
    return classes.union(*map(codes_in, trees()))


def test_every_code_that_is_raised_has_a_status() -> None:
    assert raised() - STATUS.keys() == set()


def test_every_code_that_has_a_status_is_raised() -> None:
    assert STATUS.keys() - raised() == {"internal_error"} - raised()


def test_nothing_raises_the_bare_base_class() -> None:
    for tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                assert getattr(node.func, "id", "") != "FactstoreError"


def test_codes_are_words_and_statuses_are_errors() -> None:
    for code, (status, title) in STATUS.items():
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", code)
        assert 400 <= status <= 504
        assert status != 422
        assert title
        assert not title.endswith(".")
