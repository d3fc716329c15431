"""Members, waiters and grants: answers that a real service cannot be made to give."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from factstore.client import Stack, errors
from tests.unit.client.stub import FakeClock, Service, answer, hang_up, refusal, stack_at

TAG = {"ETag": '"t1"'}


def waiter(state: str = "pending", **more: object) -> dict[str, object]:
    return {
        "name": "w",
        "state": state,
        "reason": None,
        "revision": 3,
        "success": {"signals": 1},
        "failure": None,
        "timeout": 60,
        **more,
    }


def member(name: str) -> dict[str, object]:
    moments = dict.fromkeys(("joined_at", "updated_at", "updated_by"), "x")
    numbers = {"ttl": 30, "revision": 3, "version": 1}
    return {
        "name": name,
        "group": "g",
        "state": "joining",
        "generation": "1a",
        "attributes": {},
        **moments,
        **numbers,
    }


def test_a_wait_for_a_waiter_continues_until_the_waiter_has_ended(
    service: Service, clock: FakeClock
) -> None:
    service.will(
        answer(200, waiter(), TAG),
        answer(304, None, TAG),  # a service that stops answers its callers early
        answer(200, waiter(satisfied=1), {"ETag": '"t2"'}),
        answer(200, waiter("met"), {"ETag": '"t3"'}),
    )
    assert service.stack(clock).waiter("w").wait(120).state == "met"
    assert [call.headers.get("If-None-Match") for call in service.calls] == [
        *(None, '"t1"', '"t1"', '"t2"')
    ]
    assert clock.pauses == [1.0]


def test_a_wait_for_a_waiter_ends_when_its_time_is_over(service: Service, clock: FakeClock) -> None:
    service.will(answer(200, waiter(), TAG), *[answer(304, None, TAG)] * 3)
    assert service.stack(clock).waiter("w").wait(2.5).state == "pending"
    assert clock.now == 1002.5


def test_a_list_of_members_follows_its_links(service: Service, clock: FakeClock) -> None:
    following = [{"rel": "next", "href": "http://inside.test/x?limit=1&marker=a&cursor=e.4"}]
    service.will(
        answer(200, {"members": [member("a")], "cursor": "e.4", "links": following}),
        answer(200, {"members": [member("b")], "cursor": "e.4", "links": []}),
    )
    found = [each.name for each in service.stack(clock).members(group="g")]
    assert found == ["a", "b"]
    assert service.calls[0].query == {"limit": "1000", "group": "g"}
    assert service.calls[1].query == {"limit": "1", "marker": "a", "cursor": "e.4"}


def test_a_join_with_a_lost_answer_is_repeated_with_its_key(
    service: Service, clock: FakeClock
) -> None:
    service.will(hang_up, answer(200, member("a"), {"Factstore-Unchanged": "true"}))
    assert service.stack(clock).member("a").join("g").generation == "1a"
    impatient = service.stack(clock, retry_for=0.0).member("a")
    service.will(hang_up, hang_up, hang_up, answer(201, member("a")), answer(200, member("a")))
    for group in ("g", "g", "h"):
        with pytest.raises(errors.OutcomeUnknown):
            impatient.join(group)
    impatient.join("h")
    impatient.join("h")
    keys = [call.headers["Idempotency-Key"] for call in service.calls]
    assert [keys.index(key) for key in keys] == [0, 0, 2, 2, 4, 4, 6]


def test_members_are_requested_by_their_declared_id(service: Service, clock: FakeClock) -> None:
    declared = {**member("a"), "ttl": None, "declared": "heat:1", "reason": "scaled_out"}
    page = {"members": [declared, member("b")], "cursor": "e.4", "links": []}
    service.will(answer(200, page), refusal(400, "query_invalid"))
    first, second = service.stack(clock).members(declared="heat:1")
    assert (first.declared, first.reason, first.ttl) == ("heat:1", "scaled_out", None)
    assert (second.declared, second.reason, second.ttl) == (None, None, 30)
    assert service.calls[0].query == {"limit": "1000", "declared": "heat:1"}
    with pytest.raises(
        errors.BadRequest
    ):  # an empty declared id matches no member, and does not mean all members
        next(service.stack(clock).members(declared=""))
    assert service.calls[1].query == {"limit": "1000", "declared": ""}


def test_declaring_a_member_keeps_the_clients_own_generation(
    service: Service, clock: FakeClock
) -> None:
    service.will(answer(201, member("a")), answer(201, member("a")), answer(204))
    a = service.stack(clock).member("a", generation="7")
    a.declare("g", "heat:1")
    a.declare("g", "heat:1", reason="scaled_out", attributes={"index": 1})
    assert a.generation == "7"
    a.depart(declared="heat:1")
    base = {"group": "g", "declared": "heat:1"}
    assert [call.body for call in service.calls[:2]] == [
        base,
        {**base, "reason": "scaled_out", "attributes": {"index": 1}},
    ]
    assert service.calls[2].query == {"declared": "heat:1"}


def test_departing_with_an_empty_declaration_is_refused(service: Service, clock: FakeClock) -> None:
    service.will(refusal(400, "query_invalid"))
    with pytest.raises(errors.BadRequest):
        service.stack(clock).member("a").depart(declared="")
    assert service.calls[0].query == {"declared": ""}


def test_arguments_that_are_not_given_are_not_sent(service: Service, clock: FakeClock) -> None:
    service.will(
        answer(201, member("a")), answer(204), answer(200, waiter()), answer(200, waiter())
    )
    stack = service.stack(clock)
    stack.member("a").join("g")
    stack.member("a").heartbeat()
    stack.waiter("w").arm({"signals": 1})
    stack.waiter("w").signal()
    assert [call.body for call in service.calls] == [
        {"group": "g"},
        {},
        {"success": {"signals": 1}},
        {"status": "SUCCESS"},
    ]


@pytest.mark.parametrize(
    "call",
    [
        lambda stack: stack.member("a").declare("g", "heat:1"),
        lambda stack: stack.member("a").heartbeat(),
        lambda stack: stack.waiter("w").arm({"signals": 1}),
        lambda stack: stack.waiter("w").signal(),
        lambda stack: stack.issue_grant(member="a"),
        lambda stack: stack.grant("g").renew(),
    ],
)
def test_a_write_with_a_lost_answer_is_not_repeated(
    service: Service, clock: FakeClock, call: Callable[[Stack], object]
) -> None:
    service.will(hang_up)
    with pytest.raises(errors.OutcomeUnknown):
        call(service.stack(clock))
    assert len(service.calls) == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda stack: next(stack.members()),
        lambda stack: next(stack.waiters()),
        lambda stack: stack.member("a").show(),
        lambda stack: stack.waiter("w").signal(),
        lambda stack: stack.convergence(),
        lambda stack: next(stack.grants()),
        lambda stack: stack.grant("g").renew(),
    ],
)
def test_an_answer_without_a_documented_field_is_an_error(
    service: Service, clock: FakeClock, call: Callable[[Stack], object]
) -> None:
    service.will(answer(200, {}, TAG))
    with pytest.raises(errors.UnexpectedAnswer):
        call(service.stack(clock))


def test_a_missing_waiter_counts_as_deleted(service: Service, clock: FakeClock) -> None:
    service.will(refusal(404, "not_found"))
    service.stack(clock).waiter("w").delete()


@pytest.mark.parametrize("name", ["a/b", "", ".", ".."])
def test_a_name_that_would_change_the_url_is_refused(name: str, clock: FakeClock) -> None:
    stack = stack_at("http://127.0.0.1:1", clock)
    with pytest.raises(errors.BadRequest):
        stack.member(name)
    with pytest.raises(errors.BadRequest):
        stack.waiter(name)


def test_a_request_fails_when_its_answer_takes_too_long(clock: FakeClock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        stack = stack_at(url, clock, answer_within=0.2, retry_for=0.0)
        with pytest.raises(errors.Unavailable, match="timed out"):
            stack.describe()
