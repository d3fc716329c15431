"""Reads of what has changed since the caller knew it, of all kinds of resources."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from factstore.client import Stack
from factstore.client.errors import UnexpectedAnswer
from tests.unit.client.stub import FakeClock, Service, answer

READS: dict[str, Callable[[Stack, str | None], object]] = {
    "waiter": lambda stack, known: stack.waiter("w").show(if_none_match=known, wait=5),
    "alarm": lambda stack, known: stack.alarm("a").show(if_none_match=known, wait=5),
    "turn": lambda stack, known: stack.turn("q", "m").show(if_none_match=known, wait=5),
    "action": lambda stack, known: stack.action("1").show(if_none_match=known, wait=5),
    "configuration": lambda stack, known: stack.configuration("m", "c").show(
        if_none_match=known, wait=5
    ),
    "configurations": lambda stack, known: stack.configurations(if_none_match=known, wait=5),
    "actions of a member": lambda stack, known: stack.member_actions(
        "m", if_none_match=known, wait=5
    ),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_resource_that_has_the_known_etag_is_not_read_again(
    service: Service, clock: FakeClock, read: Callable[[Stack, str | None], object]
) -> None:
    service.will(answer(304, None, {"ETag": '"t1"'}))
    assert read(service.stack(clock), "t1") is None
    (call,) = service.calls
    assert (call.headers["If-None-Match"], call.query["wait"]) == ('"t1"', "5")


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_response_without_an_etag_is_not_part_of_the_api(
    service: Service, clock: FakeClock, read: Callable[[Stack, str | None], object]
) -> None:
    service.will(answer(200, {}))
    with pytest.raises(UnexpectedAnswer, match="etag"):
        read(service.stack(clock), None)
    assert "If-None-Match" not in service.calls[0].headers
