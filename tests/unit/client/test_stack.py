"""The calls of a stack: answers that a real service cannot be made to give."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from factstore.client import Delete, DeletePrefix, Guard, NotReverted, Put, Stack, errors, urls
from factstore.core.model import path as path_model
from tests.cases import cases
from tests.unit.client.stub import FakeClock, Service, answer, client_at, fact, refusal, stack_at

MISSING = refusal(404, "not_found", {"Retry-After": "1"})


def page(*paths: str, following: str | None = None) -> dict[str, object]:
    links = [{"rel": "self", "href": "/ignored"}]
    if following is not None:
        links.append({"rel": "next", "href": following})
    return {"facts": [fact(path, 1) for path in paths], "cursor": "e.5", "links": links}


def test_a_wait_that_the_service_ends_early_is_continued(
    service: Service, clock: FakeClock
) -> None:
    service.will(MISSING, MISSING, answer(200, fact("a", 1)))
    assert service.stack(clock).wait("a", timeout=120).value == 1
    assert [call.query["wait"] for call in service.calls] == ["50", "50", "50"]
    assert clock.pauses == [1.0, 1.0]


def test_a_wait_ends_when_its_time_is_over(service: Service, clock: FakeClock) -> None:
    service.will(MISSING, MISSING, MISSING, MISSING)
    with pytest.raises(errors.WaitTimeout, match=r"'a' did not exist within 2\.5 s") as raised:
        service.stack(clock).wait("a", timeout=2.5)
    assert isinstance(raised.value, errors.NotFound)
    assert isinstance(raised.value, TimeoutError)
    assert raised.value.status == 404
    assert clock.now == 1002.5


def test_a_fact_is_not_reverted_to_a_cursor_from_before_the_store_was_replaced(
    service: Service, clock: FakeClock
) -> None:
    changes = [
        {
            "cursor": f"new.{at}",
            "type": "fact.put",
            "fact": fact("a", at),
            "by": None,
            "request_id": None,
        }
        for at in (9, 5)
    ]
    past = answer(200, {"path": "a", "changes": changes, "since": "new.4", "more": False})
    for cursor in ("old.6", "6"):
        service.will(past)
        with pytest.raises(NotReverted, match="of another store"):
            service.stack(clock).revert("a", cursor)
    service.will(past, answer(200, fact("a", 5)))
    service.stack(clock).revert("a", "new.6")
    assert service.calls[-1].body["value"] == 5


def test_a_creation_is_not_reverted_because_nothing_existed_before(
    service: Service, clock: FakeClock
) -> None:
    change = {"type": "fact.put", "cursor": "s.4", "by": None, "request_id": None}
    created = {**change, "fact": {**fact("a", 1), "version": 1}}
    service.will(answer(200, {"path": "a", "changes": [created], "since": "s.1", "more": False}))
    with pytest.raises(NotReverted, match="a did not exist then"):
        service.stack(clock).revert("a")


def test_likely_mistakes_are_explained(clock: FakeClock) -> None:
    stack: Any = stack_at("http://127.0.0.1:1", clock)
    for mistake, text in (
        (lambda: stack.facts(), "snapshot() and context() return all facts"),
        (lambda: stack.delete(), "call delete_stack()"),
        (lambda: stack.batch(puts={"a": 1}), 'batch([Put("a", 1), Delete("b")]'),
        (lambda: stack.batch({"a": 1}), 'batch([Put("a", 1), Delete("b")]'),
        (lambda: stack.put("a/b", b"x"), "PUT /v1/stacks/slurm/facts/a/b cannot be sent"),
        (lambda: stack.batch([Put("a", {1})]), "type set is not JSON serializable. A value is"),
    ):
        with pytest.raises((AttributeError, TypeError), match=re.escape(text)):
            mistake()
    with pytest.raises(AttributeError, match=r"no attribute 'other'$"):
        _ = stack.other


def test_an_error_inside_a_call_keeps_its_text(clock: FakeClock) -> None:
    def operations() -> Iterator[Put]:
        yield Put("a", 1)
        raise TypeError("of the caller")

    with pytest.raises(TypeError, match=r"^of the caller$"):
        stack_at("http://127.0.0.1:1", clock).batch(operations())


def test_a_list_follows_the_query_of_its_links_and_nothing_else(
    service: Service, clock: FakeClock
) -> None:
    service.will(
        answer(
            200, page("a", "b", following="http://inside.test/x/facts?limit=2&marker=b&cursor=e.5")
        ),
        answer(200, page("c")),
    )
    pages = list(service.stack(clock).list("n", limit=2))
    assert [fact.path for page in pages for fact in page.facts] == ["a", "b", "c"]
    assert service.calls[0].query == {"limit": "2", "prefix": "n"}
    assert service.calls[1].path == "/v1/stacks/slurm/facts"
    assert service.calls[1].query == {"limit": "2", "marker": "b", "cursor": "e.5"}


def test_a_snapshot_starts_again_when_its_revision_has_expired(
    service: Service, clock: FakeClock
) -> None:
    gone = refusal(410, "cursor_expired")
    service.will(
        answer(200, page("a", following="?marker=a&cursor=e.4")), gone, answer(200, page("a", "b"))
    )
    snapshot = service.stack(clock).snapshot()
    assert [fact.path for fact in snapshot.facts] == ["a", "b"]
    assert snapshot.cursor == "e.5"


def test_a_snapshot_fails_when_its_revision_expires_every_time(
    service: Service, clock: FakeClock
) -> None:
    service.will(*[refusal(410, "cursor_expired")] * 5)
    with pytest.raises(errors.Gone):
        service.stack(clock).snapshot()


@pytest.mark.parametrize(
    "call",
    [
        lambda stack: next(stack.list()),
        lambda stack: stack.batch([Delete("a")]),
        lambda stack: stack.context(),
        lambda stack: stack.describe(),
        lambda stack: stack.watch(),
    ],
)
def test_an_answer_without_a_documented_field_is_an_error(
    service: Service, clock: FakeClock, call: Callable[[Stack], object]
) -> None:
    service.will(answer(200, {"facts": [{}], "results": [{}]}))
    with pytest.raises(errors.UnexpectedAnswer):
        call(service.stack(clock))


@pytest.mark.parametrize("etag", ["e.1", '"e.1"', 'W/"e.1"'])
def test_etags_are_taken_with_and_without_quotes(
    service: Service, clock: FakeClock, etag: str
) -> None:
    service.will(answer(204))
    service.stack(clock).delete("a", if_match=etag)
    assert service.calls[0].headers["If-Match"] == '"e.1"'


def test_a_batch_is_sent_as_built(service: Service, clock: FakeClock) -> None:
    service.will(answer(200, {"results": [], "cursor": "e.9"}))
    operations: list[Put | Delete] = [
        Put("a", None),
        Put("b", 1, kind="parameter", ttl=60),
        Delete("c"),
    ]
    guards = [Guard.etag("a", "e.1"), Guard.exists("b"), Guard.absent("d")]
    service.stack(clock).batch(operations, guards, idempotency_key="k")
    assert service.calls[0].headers["Idempotency-Key"] == "k"
    assert service.calls[0].body == {
        "operations": [
            {"put": {"path": "a", "value": None}},
            {"put": {"path": "b", "value": 1, "kind": "parameter", "ttl": 60}},
            {"delete": {"path": "c"}},
        ],
        "guards": [
            {"path": "a", "etag": "e.1"},
            {"path": "b", "exists": True},
            {"path": "d", "absent": True},
        ],
    }


def test_a_name_outside_of_the_grammar_is_refused_in_the_services_words_without_a_request(
    clock: FakeClock,
) -> None:
    assert (urls.GRAMMAR, urls.PATH_PATTERN) == (path_model.GRAMMAR, path_model.PATH_PATTERN)
    assert urls.PATH_LENGTH == path_model.PATH_LENGTH
    stack = stack_at("http://127.0.0.1:9", clock)
    segments = ("a b", "a?b#c", "a%2Fb", "uni-\u00fc", "\ud800", "", ".", "-a", "a" * 129)
    with cases() as case:
        for bad in (
            *segments,
            *(f"a/{each}/b" for each in segments),
            "/a",
            "a/" * 16 + "b",
        ):
            shown = repr(bad if len(bad) <= 80 else f"{bad[:77]}...")
            for read in (stack.get, stack.history, stack.delete_folder):
                with case((read.__name__, bad)):
                    with pytest.raises(errors.BadRequest) as raised:
                        list(read(bad))  # type: ignore[arg-type]
                    assert str(raised.value) == f"The path {shown} is not valid: {urls.GRAMMAR}."
                    assert raised.value.code == "contextualization.path_invalid"
        for bad in (*segments, "a/b"):
            for item in (stack.member, stack.waiter, stack.grant, stack.alarm, stack.action):
                text = "is one segment, and a path is"
                with (
                    case((item.__name__, bad)),
                    pytest.raises(errors.BadRequest, match=text),
                ):
                    item(bad)
            with case(("stack", bad)), pytest.raises(errors.BadRequest, match="The stack name"):
                client_at("http://127.0.0.1:9", clock).stack(bad)
    longest = "/".join(["a" * 128, "b" * 128, "c" * 128, "d" * 125])
    assert urls.fact_url("/v1/stacks/s", longest).endswith(longest)
    with pytest.raises(errors.BadRequest):
        urls.fact_url("/v1/stacks/s", f"{longest}e")
    assert urls.fact_url("/v1/stacks/s", "_a:b@c/d").endswith("/facts/_a:b@c/d")


def test_the_deletion_of_a_folder_is_one_request_and_counts_its_facts(
    service: Service, clock: FakeClock
) -> None:
    service.will(answer(200, {"deleted": 150, "revisions": 2, "cursor": "e.9"}))
    done = service.stack(clock).delete_folder("nodes/c1", generation="abc")
    assert (done.deleted, done.revisions, done.cursor) == (150, 2, "e.9")
    (call,) = service.calls
    assert (call.method, call.headers["Factstore-Generation"]) == ("DELETE", "abc")
    assert (call.path, call.query) == ("/v1/stacks/slurm/facts/nodes/c1", {"recursive": "true"})


def test_a_batch_states_the_number_of_facts_of_each_prefix(
    service: Service, clock: FakeClock
) -> None:
    entry = {"path": "nodes", "outcome": "deleted", "fact": None, "deleted": 3}
    service.will(answer(200, {"results": [entry], "cursor": "e.9"}))
    done = service.stack(clock).batch([DeletePrefix("nodes")])
    assert (done.outcomes, done.deleted) == (("deleted",), (3,))
    assert service.calls[0].body == {"operations": [{"delete": {"prefix": "nodes"}}]}
