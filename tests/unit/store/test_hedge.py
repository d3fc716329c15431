"""Overlapping tries of a call to the members of etcd."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import grpc
import pytest

from factstore.core.errors import StorageFull, Unavailable
from factstore.store.client import Refused
from factstore.store.client.hedge import Hedge

MEMBERS = 3


class Failed(grpc.RpcError):
    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        self.code, self.details = lambda: code, lambda: details


REFUSED = Failed(grpc.StatusCode.UNAVAILABLE, "failed to connect to all addresses")
RESET = Failed(grpc.StatusCode.UNAVAILABLE, "connection reset")
FULL = Failed(grpc.StatusCode.RESOURCE_EXHAUSTED, "database space exceeded")
STALE = Failed(grpc.StatusCode.UNAUTHENTICATED, "invalid auth token")
CORRUPT = Failed(grpc.StatusCode.DATA_LOSS, "corrupt cluster")
FAULTY = Failed(grpc.StatusCode.INVALID_ARGUMENT, "duplicate key")


class Members:
    """Members of which each does what the test states; others are silent until it ends."""

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.does: dict[int, Callable[[], str]] = {}
        self.ended = threading.Event()

    def call(self, member: int, seconds: float) -> str:
        self.calls.append(member)
        assert seconds > 0
        if member in self.does:
            return self.does[member]()
        self.ended.wait(60)
        raise RESET


def fails(error: Exception) -> Callable[[], str]:
    def call() -> str:
        raise error

    return call


@pytest.fixture
def members() -> Iterator[Members]:
    made = Members()
    yield made
    made.ended.set()


def first_answer(members: Members, seconds: float = 60.0) -> tuple[str, int]:
    hedge = Hedge(members.call, MEMBERS)
    return hedge.first_answer(1, time.monotonic() + seconds), hedge.answered_by


def test_a_silent_member_is_not_waited_for(members: Members) -> None:
    members.does = {0: lambda: "answer"}
    assert first_answer(members) == ("answer", 0)
    assert members.calls == [1, 2, 0]


def test_a_try_that_was_overtaken_may_still_answer(members: Members) -> None:
    asked = iter(range(5))

    def late() -> str:
        if next(asked) == 0:
            members.ended.wait(60)
            return "late"
        members.ended.set()
        members.ended = threading.Event()
        raise RESET

    members.does = {1: late}
    assert first_answer(members)[0] == "late"


@pytest.mark.parametrize("error", [RESET, STALE])
def test_a_member_that_fails_is_asked_again_in_its_turn(members: Members, error: Failed) -> None:
    tries = iter([error, error])

    def recovers() -> str:
        for each in tries:
            raise each
        return "answer"

    members.does = dict.fromkeys(range(MEMBERS), recovers)
    assert first_answer(members) == ("answer", 0)


def test_if_no_member_can_be_reached_nobody_waits_for_the_deadline(members: Members) -> None:
    members.does = dict.fromkeys(range(MEMBERS), fails(REFUSED))
    with pytest.raises(Unavailable, match="cannot be reached"):
        first_answer(members, 3600.0)
    assert len(members.calls) == MEMBERS


@pytest.mark.parametrize(
    ("error", "known"), [(FULL, StorageFull), (CORRUPT, Refused), (FAULTY, grpc.RpcError)]
)
def test_a_refusal_ends_the_tries(members: Members, error: Failed, known: type[Exception]) -> None:
    members.does = {2: fails(error)}
    with pytest.raises(known):
        first_answer(members)


def test_without_an_answer_the_call_ends_at_its_deadline(members: Members) -> None:
    with pytest.raises(Unavailable, match="in time"):
        first_answer(members, 0.2)
    assert members.calls == [1, 2]
