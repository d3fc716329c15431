"""The detail of each error is a sentence, which begins as sentences do."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from factstore.core.errors import FactstoreError
from tests.http import DETAIL

ROOT = Path(__file__).parents[2] / "factstore"
CLIENTS = {"agent", "client", "heat", "migrate", "osc", "sdk", "transfer"}
"""The rooms with errors of their own."""


def nodes() -> Iterator[tuple[Path, ast.Call | ast.Assign | ast.ClassDef]]:
    """Yield the calls, assignments and classes of the service's modules."""
    for path in sorted(ROOT.rglob("*.py")):
        if path.relative_to(ROOT).parts[0] not in CLIENTS:
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call | ast.Assign | ast.ClassDef):
                    yield path, node


def names_of_errors(classes: dict[str, set[str]]) -> set[str]:
    """Return the names of all classes of errors with a detail, of these classes and their bases."""
    found = {FactstoreError.__name__}
    while more := {name for name, bases in classes.items() if found & bases} - found:
        found |= more
    return found


def beginnings(node: ast.expr) -> Iterator[str]:
    """Yield how a text begins, as far as the source shows it; ``check_refusal`` checks the rest."""
    match node:
        case ast.IfExp():
            yield from beginnings(node.body)
            yield from beginnings(node.orelse)
        case ast.BinOp():
            yield from beginnings(node.left)
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=[ast.Constant(value=text), *_]):
            yield text
        case ast.JoinedStr(
            values=[ast.FormattedValue(value=ast.Call(func=ast.Name("quoted"))), *_]
        ):
            yield "'"


def test_each_detail_begins_with_a_capital_letter_or_a_quoted_value() -> None:
    classes: dict[str, set[str]] = {}
    calls: list[tuple[str, str, str]] = []
    wrong = []
    for path, node in nodes():
        place = f"{path.relative_to(ROOT)}:{node.lineno}"
        match node:
            case ast.ClassDef():
                bases = classes.setdefault(node.name, set())
                bases |= {getattr(base, "id", "") for base in node.bases}
            case ast.Call(func=ast.Name(name), args=[first, *_]):
                calls += ((name, place, text) for text in beginnings(first))
            case ast.Assign(targets=[ast.Attribute(attr="detail"), *_]):
                texts = beginnings(node.value)
                wrong += [f"{place}: {text}" for text in texts if text and not DETAIL.match(text)]
    errors = names_of_errors(classes)
    details = [(place, text) for name, place, text in calls if name in errors]
    wrong += [f"{place}: {text}" for place, text in details if text and not DETAIL.match(text)]
    assert not wrong
    assert len(details) > 200


@pytest.mark.parametrize("text", ["The stack", "'a' is", "Field 'ttl' must", "etcd did"])
def test_a_sentence_may_begin_like_this(text: str) -> None:
    assert DETAIL.match(text)


@pytest.mark.parametrize("text", ["the stack", "ttl must", "etcdctl", " A", "", "503"])
def test_a_sentence_does_not_begin_like_this(text: str) -> None:
    assert not DETAIL.match(text)
