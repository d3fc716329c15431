"""Error codes: each raised code has a status, and each status belongs to a raised code."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import factstore
from factstore.api.errors import STATUS
from factstore.core import errors

PACKAGE = Path(factstore.__file__).parent
SERVER_ROOMS = ("api", "core", "store", "watch", "wsgi")
WITH_CODE_FIRST = {"respond", "error_body", "problem"}


@dataclass
class Raised:
    """The error codes that modules use, and the places where they raise an error without one."""

    codes: set[str] = field(default_factory=set)
    bare: list[str] = field(default_factory=list)

    def add(self, node: ast.AST, file: Path) -> None:
        """Add the codes that a node of a module's syntax tree contains."""
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            for keyword in node.keywords:
                if keyword.arg == "code":
                    self.codes |= constants(keyword.value)
            if name in WITH_CODE_FIRST and node.args:
                self.codes |= constants(node.args[0])
            elif name == "_problem" and len(node.args) > 1:
                self.codes |= constants(node.args[1])
            elif name == errors.FactstoreError.__name__:
                self.bare.append(f"{file}:{node.lineno}")
        elif isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "_BY_STATUS" for target in node.targets
        ):
            self.codes |= {code for each in node.value.values for code in constants(each)}  # type: ignore[attr-defined]


@cache
def in_modules() -> Raised:
    found = Raised()
    for room in SERVER_ROOMS:
        for file in sorted((PACKAGE / room).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                found.add(node, file)
    return found


def constants(node: ast.AST) -> set[str]:
    """Yield all strings that an expression may evaluate to."""
    if isinstance(node, ast.Constant):
        return {node.value} if isinstance(node.value, str) else set()
    if isinstance(node, ast.IfExp):
        return constants(node.body) | constants(node.orelse)
    return set()


def raised() -> set[str]:
    classes = {
        kind.code
        for kind in vars(errors).values()
        if isinstance(kind, type)
        and issubclass(kind, errors.FactstoreError)
        and kind is not errors.FactstoreError
    }
    return classes | in_modules().codes


def test_every_code_that_is_raised_has_a_status() -> None:
    assert raised() - STATUS.keys() == set()


def test_every_code_that_has_a_status_is_raised() -> None:
    assert STATUS.keys() - raised() == {"internal_error"} - raised()


def test_nothing_raises_the_bare_base_class() -> None:
    assert in_modules().bare == []


def test_codes_are_words_and_statuses_are_errors() -> None:
    for code, (status, title) in STATUS.items():
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", code)
        assert 400 <= status <= 504
        assert status != 422
        assert title
        assert not title.endswith(".")
