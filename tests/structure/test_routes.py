"""Routes, their descriptions and their policy rules are the same set."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any
from unittest.mock import Mock

from openapi_spec_validator import OpenAPIV31SpecValidator
from oslo_policy.policy import DocumentedRuleDefault

from factstore.api import docs_ui
from factstore.api.app import create_app
from factstore.api.blueprint import Blueprint
from factstore.api.services import Services
from factstore.console import files as console
from factstore.policies import facts, list_rules
from factstore.wsgi.auth import PUBLIC_PATHS
from factstore.wsgi.clock import SystemClock
from factstore.wsgi.middleware.throttle import is_heartbeat
from tests.cases import cases
from tests.structure.application import (
    DOCUMENT,
    PUBLIC,
    Operation,
    application,
    call,
    documented,
    operations,
)
from tests.unit.core.factories import fact

FACT = "/v1/stacks/{stack}/facts/{path}"
METHODS = {"get", "head", "put", "post", "patch", "delete"}


def rules() -> dict[str, set[Operation]]:
    """Return the rules that allow operations, and the documented operations of each."""
    return {
        rule.name: {(operation["method"], operation["path"]) for operation in rule.operations}
        for rule in list_rules()
        if isinstance(rule, DocumentedRuleDefault)
    }


def described() -> dict[Operation, Any]:
    """Return the operations of the OpenAPI document."""
    return {
        (method.upper(), path): what
        for path, methods in documented()["paths"].items()
        for method, what in methods.items()
        if method in METHODS
    }


def test_every_route_is_in_the_openapi_document_and_the_reverse() -> None:
    assert set(described()) == operations()


def test_the_openapi_document_is_valid() -> None:
    errors = [
        str(error) for error in OpenAPIV31SpecValidator(shared(documented(), {})).iter_errors()
    ]
    assert not errors


def shared(part: Any, known: dict[str, Any]) -> Any:
    """Return a document whose equal parts are the same object, which the validator checks once."""
    if isinstance(part, dict):
        part = {key: shared(value, known) for key, value in part.items()}
    elif isinstance(part, list):
        part = [shared(value, known) for value in part]
    return known.setdefault(json.dumps(part), part)


def test_every_operation_is_described_with_its_answers() -> None:
    for operation, what in described().items():
        assert what["summary"], operation
        succeeding = {status for status in what["responses"] if status.startswith("2")}
        assert succeeding, operation
        assert "default" not in what["responses"], f"{operation}: name every status"


def test_the_document_and_the_service_agree_on_public_operations() -> None:
    document = documented()
    assert document["security"] == [{"token": []}, {"grant": []}, {"grant_password": []}]
    public = {operation for operation, what in described().items() if what.get("security") == []}
    assert public == PUBLIC
    assert {path for _, path in public} | docs_ui.PATHS | {console.ROOT} == PUBLIC_PATHS


def test_a_service_without_tokens_does_not_ask_for_any() -> None:
    app = create_app(Mock(spec=Services, clock=SystemClock()), Mock(), tokens=False)
    assert app.test_client().get(DOCUMENT).get_json()["security"] == []


def test_the_document_names_the_mount_point_of_the_service() -> None:
    client = application().test_client()
    for root in ("", "/contextualization"):
        answer = client.get(DOCUMENT, environ_overrides={"SCRIPT_NAME": root})
        assert answer.get_json()["servers"] == [{"url": root or "/"}]


def test_a_description_wraps_no_view() -> None:
    blueprint = Blueprint("some", __name__)

    def view() -> None: ...

    describing = [
        blueprint.error_codes("not_found"),
        blueprint.request_headers("if_match"),
        blueprint.alt_response(304),
        blueprint.doc(summary="Nothing."),
    ]
    for describe in describing:
        assert describe(view) is view


def test_every_route_but_the_public_ones_asks_policy() -> None:
    asked: list[str] = []

    def refuse(rule: str) -> bool:
        asked.append(rule)
        return False

    app = application(refuse)
    with cases() as case:
        for operation in sorted(operations()):
            asked.clear()
            with case(operation):
                status = call(app, operation)
                if operation in PUBLIC:
                    assert (status, asked) == (HTTPStatus.OK, [])
                else:
                    assert (status, len(asked)) == (HTTPStatus.FORBIDDEN, 1)


def test_every_rule_is_asked_for_exactly_the_operations_it_names() -> None:
    asked: dict[str, set[Operation]] = {}
    operation = next(iter(operations()))

    def decide(rule: str) -> bool:
        asked.setdefault(rule, set()).add(operation)
        return True

    empty, full = application(decide), application(decide, known=fact("a", None, sealed="1.x"))
    for operation in operations():
        call(empty, operation)
        names = ("stacks", "limits", "events", "subscriptions")
        if operation in {("GET", f"/v1/{name}") for name in names}:
            call(empty, operation, "?project_id=another")
        if operation in (("GET", FACT), ("HEAD", FACT)):
            call(full, operation)
    # Every write checks whether its author can set parameters; only those of facts can contain one.
    asked[facts.PUT_PARAMETER] = {
        (method, path)
        for method, path in asked[facts.PUT_PARAMETER]
        if path == FACT or path.endswith("/batch")
    }
    assert asked == rules()


def test_an_undefined_rule_denies_everything() -> None:
    (default,) = [rule for rule in list_rules() if rule.name == "default"]
    assert default.check_str == "!"


def test_the_throttle_and_the_routes_agree_on_heartbeats() -> None:
    taken = {
        (method, path)
        for method, path in operations()
        if is_heartbeat({"REQUEST_METHOD": method, "PATH_INFO": path})
    }
    assert taken == {("POST", "/v1/stacks/{stack}/members/{member}/heartbeat")}
