"""A request of a wrong form is refused with its reason, changes nothing, and never results in a 500.

The table is in ``bad_input``.
"""

from __future__ import annotations

import json
import socket
from http import HTTPStatus

import pytest
import requests

from tests.cases import cases
from tests.functional.bad_bodies.facts import BIGGEST, DEEPEST, nested, value
from tests.functional.bad_input import BODIES, HEADERS, TABLE, URLS, Bad
from tests.http import Caller, check_refusal, fresh_stack, refused
from tests.raw_http import connect, read_answer, request_bytes
from tests.service import ApiServer

JSON = {"Content-Type": "application/json"}


def test_every_row_of_the_table_has_a_name_of_its_own() -> None:
    assert len(TABLE) == len(BODIES) + len(HEADERS) + len(URLS)


@pytest.fixture(scope="module")
def present(one_worker: ApiServer) -> str:
    """The path of a stack with one fact, for all requests that must leave it as it is."""
    stack = f"/v1/stacks/{fresh_stack()}"
    with Caller(one_worker.url) as api:
        api.put(f"{stack}/facts/a", "mine").raise_for_status()
    return stack


@pytest.mark.parametrize("table", [BODIES, HEADERS, URLS], ids=["bodies", "headers", "URLs"])
def test_wrong_requests_are_refused_with_an_error_document_and_change_nothing(
    server: ApiServer, api: Caller, present: str, stack: str, table: dict[str, Bad]
) -> None:
    with cases() as case:
        for name, bad in table.items():
            with case(name):
                check_bad(server, api, present if bad.there else stack, bad)


def check_bad(server: ApiServer, api: Caller, stack: str, bad: Bad) -> None:
    """Send a wrong request; check the answer, and that the stack is as before."""
    target = bad.target.replace("STACK", stack)
    with connect(server.url) as connection:
        connection.sendall(request_bytes(bad.method, target, *bad.headers, body=bad.body))
        connection.shutdown(socket.SHUT_WR)
        answer = read_answer(connection)
    check_refusal(answer.status, answer.headers, answer.json(), bad.answer)
    assert "Location" not in answer.headers
    if bad.there:
        facts = api.get(f"{stack}/facts").json()["facts"]
        assert [(fact["path"], fact["value"], fact["version"]) for fact in facts] == [
            ("a", "mine", 1)
        ]
    else:
        refused(api.get(stack), "404 not_found")


ACCEPTED = {
    "the deepest": nested(DEEPEST),
    "the largest integer": str(2**63 - 1),
    "the smallest integer": str(-(2**63)),
    "the largest double": "1.7976931348623157e308",
    "a pair of surrogates": r'"\ud83d\ude00"',
    "the longest string": '"' + "x" * (BIGGEST - 2) + '"',
    "the longest string in UTF-8": '"' + "ö" * (BIGGEST // 2 - 1) + '"',
    "control characters": r'"\u0001\u001f\u007f"',
    "line separators": r'"\u2028\u2029"',
    "many small brackets": json.dumps([[]] * 5000),
    "brackets in a string": json.dumps("[" * 1000),
    "backslashes": json.dumps("\\" * 1001),
    "an empty key": '{"": 1}',
    "a key that Python knows": '{"__class__": "x", "__proto__": 1}',
}


@pytest.mark.parametrize("text", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_a_value_just_within_the_limits_is_read_back_unchanged(
    api: Caller, stack: str, text: str
) -> None:
    answer = api.put(f"{stack}/facts/a", data=value(text), headers=JSON)
    assert answer.status_code == HTTPStatus.CREATED, answer.text[:300]
    assert api.get(f"{stack}/facts/a").json()["value"] == json.loads(text)


def test_an_idempotency_key_of_another_request_is_refused(api: Caller, stack: str) -> None:
    key = {"Idempotency-Key": stack}
    api.put(f"{stack}/facts/a", 1, headers=key).raise_for_status()
    answer = api.put(f"{stack}/facts/a", 2, headers=key)
    refused(answer, "409 idempotency_key_reused")
    text = {**key, "Content-Type": "text/plain"}
    refused(api.put(f"{stack}/facts/a", data=b"1", headers=text), "409 idempotency_key_reused")
    assert api.get(f"{stack}/facts/a").json()["value"] == 1
    assert api.put(f"{stack}/facts/a", 1, headers=key).status_code == HTTPStatus.CREATED


def test_a_stale_tag_is_answered_with_the_present_one(api: Caller, stack: str) -> None:
    stale = api.put(f"{stack}/facts/a", 1).headers["ETag"]
    present = api.put(f"{stack}/facts/a", 2).headers["ETag"]
    for answer in (
        api.put(f"{stack}/facts/a", 3, headers={"If-Match": stale}),
        api.delete(f"{stack}/facts/a", headers={"If-Match": stale}),
    ):
        assert refused(answer, "412 precondition_failed")["etag"] == present.strip('"')
        assert answer.headers["ETag"] == present
    assert api.get(f"{stack}/facts/a").json()["value"] == 2


def foreign_cursors(api: Caller, stack: str) -> dict[str, str]:
    present = api.get(f"{stack}/facts").json()["cursor"]
    epoch, _, revision = present.partition(".")
    assert epoch != "0" * 16
    return {
        "of another life of the store": f"{'0' * 16}.{revision}",
        "ahead of the store": f"{epoch}.{int(revision) + 10**6}",
        "at the largest revision": f"{epoch}.{2**63 - 1}",
    }


def test_a_cursor_of_another_store_has_expired(api: Caller, stack: str) -> None:
    api.put(f"{stack}/facts/a", 1)
    for cursor in foreign_cursors(api, stack).values():
        for path, name in (
            ("/v1/stacks", "cursor"),
            (f"{stack}/facts", "cursor"),
            (f"{stack}/events", "since"),
        ):
            refused(api.get(path, params={name: cursor}), "410 cursor_expired")


def test_a_page_cursor_from_before_a_stack_was_created_has_expired(api: Caller, stack: str) -> None:
    api.put(f"{stack}/facts/a", 1)
    before = api.get(f"{stack}/facts").json()["cursor"]
    api.delete(stack)
    api.put(f"{stack}/facts/b", 1)
    refused(api.get(f"{stack}/facts", params={"cursor": before}), "410 cursor_expired")


def test_a_batch_may_have_a_hundred_operations_and_guards(api: Caller, stack: str) -> None:
    def batch(operations: int, guards: int = 0, size: int = 1) -> requests.Response:
        body = {
            "guards": [{"path": f"g{n}", "absent": True} for n in range(guards)],
            "operations": [
                {"put": {"path": f"p{n}", "value": "x" * size}} for n in range(operations)
            ],
        }
        return api.post(f"{stack}/batch", json=body)

    assert batch(60, guards=40).status_code == HTTPStatus.OK
    assert batch(100).status_code == HTTPStatus.OK
    assert batch(15, size=BIGGEST - 100).status_code == HTTPStatus.OK


def test_a_page_may_have_a_thousand_items(api: Caller, stack: str) -> None:
    api.put(f"{stack}/facts/a", 1)
    for path in ("/v1/stacks", f"{stack}/facts"):
        assert api.get(path, params={"limit": "1000"}).status_code == HTTPStatus.OK


@pytest.mark.parametrize("name", ["limit", "wait"])
def test_the_field_that_is_wrong_is_named(api: Caller, stack: str, name: str) -> None:
    api.put(f"{stack}/facts/a", 1)
    path = f"{stack}/facts" if name == "limit" else f"{stack}/context"
    answer = api.get(path, params={name: "many"})
    assert refused(answer, "400 query_invalid")["field"] == name
