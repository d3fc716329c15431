"""Waiting for a fact or a context: the answer comes when it is there, to all who wait."""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Iterator
from http import HTTPStatus

import pytest

from factstore.core.model.cursor import Cursor
from tests.http import Caller, check_refusal, refused
from tests.raw_http import Answer, connect, read_answer, request_bytes
from tests.service import ApiServer


@pytest.fixture
def server(two_workers: ApiServer) -> ApiServer:
    """A service whose two workers answer a client's requests in turn."""
    return two_workers


class Waiter:
    """A request under way; as a context it is given up in the end."""

    def __init__(self, url: str, path: str, *headers: str) -> None:
        self._connection = connect(url)
        self._connection.sendall(request_bytes("GET", path, *headers))

    def fileno(self) -> int:
        return self._connection.fileno()

    def close(self) -> None:
        self._connection.close()

    def answer(self) -> Answer:
        return read_answer(self._connection)


@contextlib.contextmanager
def waiting(api: Caller, path: str, *headers: str, count: int = 1) -> Iterator[list[Waiter]]:
    """Waiters of which none has an answer, although others were served since they asked."""
    waiters = [Waiter(api.url, path, *headers) for _ in range(count)]
    try:
        with Caller(api.url) as other:
            for _ in range(10):
                other.get("/v1/stacks?limit=1").raise_for_status()
        answered, _, _ = select.select(waiters, [], [], 0)
        assert not answered, answered[0].answer()
        yield waiters
    finally:
        for waiter in waiters:
            waiter.close()


def test_a_waiting_get_returns_when_the_fact_is_written(api: Caller, stack: str) -> None:
    api.put(f"{stack}/facts/other", 1)
    with waiting(api, f"{stack}/facts/head/ip?wait=30") as (waiter,):
        api.put(f"{stack}/facts/head/name", "head")  # not what it waits for
        put = api.put(f"{stack}/facts/head/ip", "10.0.0.5")
        answer = waiter.answer()
    assert answer.status == HTTPStatus.OK
    assert answer.json() == put.json()
    assert answer.headers["ETag"] == put.headers["ETag"]


def test_a_wait_for_a_missing_stack_ends_when_it_is_created(api: Caller, stack: str) -> None:
    with waiting(api, f"{stack}/facts/a?wait=30&format=raw") as (waiter,):
        api.put(f"{stack}/facts/a", "here")
        answer = waiter.answer()
    assert (answer.status, answer.body) == (HTTPStatus.OK, b"here")


def test_an_existing_fact_is_returned_without_a_wait(api: Caller, stack: str) -> None:
    api.put(f"{stack}/facts/a", 1)
    assert api.get(f"{stack}/facts/a?wait=50").json()["value"] == 1


def test_a_wait_with_an_etag_ends_with_a_change(api: Caller, stack: str) -> None:
    tag = api.put(f"{stack}/facts/a", 1).headers["ETag"]
    with waiting(api, f"{stack}/facts/a?wait=30", f"If-None-Match: {tag}") as (waiter,):
        api.put(f"{stack}/facts/a", 1)  # no change
        api.put(f"{stack}/facts/b", 1)  # of another fact
        put = api.put(f"{stack}/facts/a", 2)
        answer = waiter.answer()
    assert answer.status == HTTPStatus.OK
    assert answer.json() == put.json()


@pytest.mark.parametrize("what", ["fact", "stack"])
def test_a_deletion_ends_the_wait_for_a_change(api: Caller, stack: str, what: str) -> None:
    tag = api.put(f"{stack}/facts/a", 1).headers["ETag"]
    with waiting(api, f"{stack}/facts/a?wait=30", f"If-None-Match: {tag}") as (waiter,):
        api.delete(stack if what == "stack" else f"{stack}/facts/a")
        answer = waiter.answer()
    check_refusal(answer.status, answer.headers, answer.json(), "404 not_found")
    assert answer.headers["Retry-After"] == "1"


def test_a_wait_that_timed_out_is_answered_accordingly(api: Caller, stack: str) -> None:
    missing = api.get(f"{stack}/facts/a?wait=1")
    refused(missing, "404 not_found")
    assert missing.headers["Retry-After"] == "1"
    refused(api.get(f"{stack}/facts/a"), "404 not_found")
    assert "Retry-After" not in api.get(f"{stack}/facts/a").headers
    tag = api.put(f"{stack}/facts/a", 1).headers["ETag"]
    unchanged = api.get(f"{stack}/facts/a?wait=1", headers={"If-None-Match": tag})
    assert unchanged.status_code == HTTPStatus.NOT_MODIFIED
    assert unchanged.headers["ETag"] == tag


def test_a_change_of_the_context_is_waited_for(api: Caller, stack: str) -> None:
    api.put(f"{stack}/facts/a", 1)
    tag = api.get(f"{stack}/context").headers["ETag"]
    with waiting(api, f"{stack}/context?wait=30", f"If-None-Match: {tag}") as (waiter,):
        api.put(f"{stack}/facts/results/c1/install", 1)  # no part of it
        api.put(f"{stack}/facts/a", 2)
        answer = waiter.answer()
    assert answer.json()["facts"] == {"a": 2}


def test_the_first_context_is_waited_for(api: Caller, stack: str) -> None:
    with waiting(api, f"{stack}/context?wait=30") as (waiter,):
        api.put(f"{stack}/facts/a", 1)
        answer = waiter.answer()
    assert answer.json()["facts"] == {"a": 1}


def test_a_long_poll_returns_with_the_next_event(api: Caller, stack: str) -> None:
    api.put(f"{stack}/facts/a", 1)
    since = api.get(f"{stack}/events").json()["next"]
    with waiting(api, f"{stack}/events?wait=30&prefix=b&since={since}") as (waiter,):
        api.put(f"{stack}/facts/a", 2)  # filtered
        api.put(f"{stack}/facts/b", 2)
        page = waiter.answer().json()
    assert [event["changes"][0]["path"] for event in page["events"]] == ["b"]
    last, following = (Cursor.parse(at) for at in (page["events"][-1]["cursor"], page["next"]))
    assert following.revision >= last.revision  # others may have written since


def test_a_long_poll_that_is_over_moves_on(api: Caller, stack: str) -> None:
    api.put(f"{stack}/facts/a", 1)
    since = api.get(f"{stack}/events").json()["next"]
    put = api.put(f"{stack}/facts/a", 2)
    page = api.get(f"{stack}/events?wait=1&prefix=b&since={since}").json()
    assert (page["events"], page["more"]) == ([], False)
    # The service itself can have written later.
    epoch, _, revision = put.headers["Factstore-Cursor"].partition(".")
    assert page["next"].startswith(f"{epoch}.")
    assert int(page["next"].removeprefix(f"{epoch}.")) >= int(revision)


def test_a_long_poll_states_that_more_events_follow(api: Caller, stack: str) -> None:
    big = "x" * 60_000
    since = api.put(f"{stack}/facts/a", 0).headers["Factstore-Cursor"]
    tags = [api.put(f"{stack}/facts/a", f"{n}{big}").json()["etag"] for n in range(30)]
    told: list[str] = []
    more = True
    while more:
        page = api.get(f"{stack}/events?since={since}").json()
        assert page["events"]
        told += [event["cursor"] for event in page["events"]]
        since, more = page["next"], page["more"]
        assert more == (len(told) < len(tags))
    assert told == tags


def test_fifty_waits_are_all_woken(api: Caller, stack: str) -> None:
    with waiting(api, f"{stack}/facts/go?wait=40", count=50) as waiters:
        api.put(f"{stack}/facts/go", True)
        answers = [waiter.answer() for waiter in waiters]
    assert {answer.status for answer in answers} == {HTTPStatus.OK}
    assert len({answer.body for answer in answers}) == 1


def test_a_waiter_is_woken_by_a_writer_at_another_service(
    one_worker: ApiServer, two_workers: ApiServer, stack: str
) -> None:
    with Caller(one_worker.url) as here, Caller(two_workers.url) as there:
        with waiting(here, f"{stack}/facts/a?wait=30", count=5) as waiters:
            there.put(f"{stack}/facts/a", 1)
            assert {waiter.answer().status for waiter in waiters} == {HTTPStatus.OK}
        with waiting(there, f"{stack}/facts/b?wait=30", count=5) as waiters:
            here.put(f"{stack}/facts/b", 1)
            assert {waiter.answer().status for waiter in waiters} == {HTTPStatus.OK}


def test_a_client_that_hangs_up_does_not_disturb_the_others(api: Caller, stack: str) -> None:
    with waiting(api, f"{stack}/facts/a?wait=30", count=4) as waiters:
        waiters[0].close()
        waiters[1]._connection.shutdown(socket.SHUT_WR)
        api.put(f"{stack}/facts/a", 1)
        assert {waiter.answer().status for waiter in waiters[2:]} == {HTTPStatus.OK}
