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


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(ROOT.rglob("*.py")):
        if path.relative_to(ROOT).parts[0] not in CLIENTS:
            yield path, ast.parse(path.read_text())


def names_of_errors(trees: list[tuple[Path, ast.Module]]) -> set[str]:
    """Return the names of all classes of errors with a detail."""
    found = {FactstoreError.__name__}
    while True:
        more = {
            node.name
            for _, tree in trees
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef)
            and found & {getattr(base, "id", "") for base in node.bases}
        }
        if more <= found:
            return found
        found |= more


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
    trees = list(modules())
    errors = names_of_errors(trees)
    wrong, checked = [], 0
    for path, tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in errors and node.args:
                for text in beginnings(node.args[0]):
                    checked += 1
                    if text and not DETAIL.match(text):
                        wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}: {text}")
            elif isinstance(node, ast.Assign) and getattr(node.targets[0], "attr", "") == "detail":
                for text in beginnings(node.value):
                    if text and not DETAIL.match(text):
                        wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}: {text}")
    assert not wrong
    assert checked > 200


@pytest.mark.parametrize("text", ["The stack", "'a' is", "Field 'ttl' must", "etcd did"])
def test_a_sentence_may_begin_like_this(text: str) -> None:
    assert DETAIL.match(text)


@pytest.mark.parametrize("text", ["the stack", "ttl must", "etcdctl", " A", "", "503"])
def test_a_sentence_does_not_begin_like_this(text: str) -> None:
    assert not DETAIL.match(text)
