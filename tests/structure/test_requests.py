"""Rules of form for every route: media types, charsets, unknown names, and texts of errors."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from factstore.api.events import filter_of, load_query
from factstore.api.openapi import SECURITY
from factstore.conf import cors
from factstore.core.model.permissions import OWNER
from tests.cases import cases
from tests.structure.application import (
    AGENT,
    PUBLIC,
    VENDORDATA,
    Operation,
    application,
    body_of,
    documented,
    operations,
    respond,
)

SIGNAL = "/signal"
FACT = ("PUT", "/v1/stacks/{stack}/facts/{path}")
"""An empty text is a value; without a type, the body is missing."""

HOOK_SIGNALS = [
    (method, "/v1/stacks/{stack}/configurations/{member}/{configuration}/signal")
    for method in ("POST", "PUT")
]
"""Signals with the outputs of hooks, whose names are free."""


def with_body() -> list[Operation]:
    return sorted(each for each in operations() if each[0] in ("PUT", "POST", "PATCH"))


def needs_body(operation: Operation) -> bool:
    method, path = operation
    body = documented()["paths"][path][method.lower()].get("requestBody", {})
    return bool(body.get("required")) or operation == FACT


@pytest.fixture(scope="module")
def app() -> Flask:
    """An application in which nothing exists, so that 404 is the response to a correct request."""
    return application()


def detail(answer: TestResponse) -> str:
    text: str = answer.get_json()["detail"]
    return text


@pytest.mark.parametrize(
    "accept",
    [
        *("", ", ,", "application/json; charset=utf-8", "application/json;q=0.5, text/*"),
        "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2",  # Java
        *("Application/JSON;q=1.5", "application/json;q=high"),
    ],
)
def test_json_is_acceptable_with_parameters_and_in_an_empty_list(app: Flask, accept: str) -> None:
    with cases() as case:
        for operation in sorted(operations()):
            with case(operation):
                answer = respond(app, operation, headers={"Accept": accept})
                succeeds = operation in PUBLIC or operation == VENDORDATA
                assert answer.status_code == (200 if succeeds else 404)


@pytest.mark.parametrize("charset", ["iso-8859-1", "utf-16", "utf-7", "unknown"])
def test_a_body_in_another_charset_is_refused(app: Flask, charset: str) -> None:
    with cases() as case:
        for operation in with_body():
            with case(operation):
                kind = f"application/json; charset={charset}"
                answer = respond(app, operation, headers={"Content-Type": kind})
                assert answer.status_code == 415
                assert "UTF-8" in detail(answer)


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/x-www-form-urlencoded", "text/plain", ""]
)
def test_an_empty_body_of_any_type_is_none(app: Flask, content_type: str) -> None:
    """Many clients declare a type although they send nothing."""
    without_body = [operation for operation in with_body() if not needs_body(operation)]
    with cases() as case:
        for operation in without_body:
            with case(operation):
                headers = {"Content-Type": content_type}
                answer = respond(app, operation, headers=headers, body=b"")
                assert answer.status_code == 404, answer.get_data(as_text=True)
    assert ("POST", "/v1/subscriptions/{subscription}/test") in without_body


def test_an_unknown_query_parameter_is_refused_with_the_known_ones(app: Flask) -> None:
    with cases() as case:
        for operation in sorted(operations()):
            if operation[0] == "HEAD":
                continue
            with case(operation):
                answer = respond(app, operation, query="?invented=1")
                assert answer.status_code == 400
                known = query_parameters(operation)
                assert detail(answer) == f"Query parameter 'invented': Unknown; {ending(known)}"


def ending(known: list[str]) -> str:
    return f"the parameters are {', '.join(known)}." if known else "this request has no parameters."


def query_parameters(operation: Operation) -> list[str]:
    method, path = operation
    listed = documented()["paths"][path][method.lower()].get("parameters", [])
    return [each["name"] for each in listed if each.get("in") == "query"]


def test_an_unknown_field_is_refused_with_the_known_ones(app: Flask) -> None:
    with cases() as case:
        for operation in set(with_body()) - {VENDORDATA, *HOOK_SIGNALS}:
            with case(operation):
                body = {**body_of(operation), "invented": 1}
                answer = respond(app, operation, body=body)
                assert answer.status_code == 400
                assert re.search(
                    r"(?i)unknown; (the fields are|a signal has|this request has no) \w+",
                    detail(answer),
                )


def test_a_watch_is_filtered_by_the_names_of_alarms() -> None:
    query = load_query({"alarm": "busy,idle", "prefix": "nodes"})
    assert query is not None
    wanted = filter_of(query, OWNER)
    assert (wanted.alarms, wanted.prefixes) == (("busy", "idle"), ("nodes",))


def test_every_json_answer_ends_with_a_newline(app: Flask) -> None:
    with cases() as case:
        for operation in sorted(operations()):
            if operation[0] != "HEAD" and operation != AGENT:
                with case(operation):
                    assert respond(app, operation).data.endswith((b"}\n", b'"\n'))


def test_a_wrong_url_method_or_protocol_is_answered_in_words_of_our_own(app: Flask) -> None:
    client = app.test_client()
    nowhere = client.get("/v2/stacks")
    assert (nowhere.status_code, detail(nowhere)) == (
        404,
        "There is nothing at '/v2/stacks'. /v1/openapi.json describes all URLs of the API.",
    )
    wrong = client.post("/v1/stacks/a")
    assert (wrong.status_code, detail(wrong)) == (
        405,
        "'/v1/stacks/a' does not support POST. Use one of DELETE, GET, HEAD, OPTIONS, PUT.",
    )
    upgraded = client.get("/v1/stacks", headers={"Connection": "Upgrade", "Upgrade": "websocket"})
    assert (upgraded.status_code, detail(upgraded)) == (
        400,
        "'/v1/stacks' serves no WebSocket. Send the request without Upgrade.",
    )


def test_pages_may_send_and_read_every_header_that_the_api_declares() -> None:
    components = documented()["components"]
    sent = {each["name"] for each in components["parameters"].values() if each["in"] == "header"}
    schemes = [components["securitySchemes"][name] for choice in SECURITY for name in choice]
    sent |= {scheme.get("name", "Authorization") for scheme in schemes}
    assert {*cors.REQUEST_HEADERS} == sent | {"Content-Type", "X-Openstack-Request-Id"}
    assert {*cors.RESPONSE_HEADERS} == {*components["headers"]}
    methods = {method for method, _ in operations()}
    assert {*cors.METHODS} >= methods
