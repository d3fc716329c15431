"""A header that guards a request is heeded or refused on every route, as the reference's table says."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from factstore.api.conditional import GUARDS
from tests.cases import cases
from tests.docs.reference import SOURCE
from tests.structure.application import Operation, application, operations, respond

MALFORMED = {
    "If-Match": ["", "a", 'W/"a"', '*, "a"'],
    "If-None-Match": ["", "a"],
    "If-Unmodified-Since": [],
    "Content-Range": [],
    "Idempotency-Key": ["", "x" * 256],
    "Factstore-Generation": ["", "XYZ"],
    "If-Plan": ["", "x"],
}
"""Values that a view refuses if it reads the header."""

_ROW = re.compile(r"   \* - ``(\w+) (\S+)``\n((?:     -(?: yes)?\n){5})")


def in_the_reference() -> dict[Operation, set[str]]:
    """Return the guards of each operation in the reference's table."""
    text = (SOURCE / "index.rst").read_text()
    names = re.findall(r"^     - (\S+-\S+)$", text, re.MULTILINE)
    found = {}
    for method, path, cells in _ROW.findall(text):
        marks = cells.splitlines()
        found[method, path] = {
            name for name, mark in zip(names, marks, strict=True) if mark.endswith("yes")
        }
    return found


def heeded(operation: Operation) -> set[str]:
    method, path = operation
    return TABLE.get(("GET" if method == "HEAD" else method, path), set())


TABLE = in_the_reference()


def refusal(answer: TestResponse) -> tuple[str, str]:
    """Return the code and the detail of an error; a response to HEAD has neither."""
    error = (answer.get_json(silent=True) or {"errors": [{}]})["errors"][0]
    return error.get("code", "").rpartition(".")[2], error.get("detail", "")


@pytest.fixture(scope="module")
def app() -> Flask:
    """An application in which nothing exists, so that 404 is the response to a correct request."""
    return application()


def test_the_table_names_operations_and_guards() -> None:
    assert TABLE.keys() <= operations()
    assert set().union(*TABLE.values()) == {*GUARDS} - {"If-Unmodified-Since", "Content-Range"}


def test_a_guard_that_is_not_supported_is_refused_and_named(app: Flask) -> None:
    for_every_policy_rule: list[str] = []
    counting = application(lambda rule: bool(for_every_policy_rule.append(rule)))
    with cases() as case:
        for operation in sorted(operations()):
            for guard in {*GUARDS} - heeded(operation):
                with case((*operation, guard)):
                    answer = respond(counting, operation, headers={guard: "*"})
                    assert answer.status_code == 400
                    if operation[0] != "HEAD":
                        code, detail = refusal(answer)
                        assert code == "header_invalid"
                        assert f"does not support {guard}." in detail
    assert not for_every_policy_rule, "it is refused before anything is done"


def test_a_delete_with_a_body_is_refused(app: Flask) -> None:
    with cases() as case:
        for operation in sorted(operations()):
            if operation[0] == "DELETE":
                with case(operation):
                    answer = respond(app, operation, body={"generation": "0"})
                    assert refusal(answer)[0] == "header_invalid"


def test_a_guard_that_is_supported_is_read(app: Flask) -> None:
    with cases() as case:
        for operation in sorted(operations()):
            for guard in heeded(operation):
                for value in MALFORMED[guard]:
                    with case((*operation, guard, value)):
                        answer = respond(app, operation, headers={guard: value})
                        assert answer.status_code == 400
                        if operation[0] != "HEAD":
                            assert refusal(answer)[0] in (
                                "header_invalid",
                                "etag_invalid",
                                "plan_invalid",
                            )
                if guard == "If-None-Match" and operation[0] not in ("GET", "HEAD"):
                    with case((*operation, "a tag")):
                        assert respond(app, operation, headers={guard: '"a"'}).status_code == 400
