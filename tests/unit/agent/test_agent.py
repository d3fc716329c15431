"""Heartbeats, joining and watching, step by step, with a service that answers from a script."""

from __future__ import annotations

from pathlib import Path

import pytest

from factstore.agent.agent import Agent
from factstore.agent.errors import StackDeleted, Superseded
from factstore.agent.session.context_watcher import APPLY_SECONDS, ContextWatcher
from factstore.client import Context, errors
from factstore.client.context_copy import ContextCopy
from tests.unit.agent.factories import STACK, agent, batch, context, member, settings, write
from tests.unit.client.deltas import delta
from tests.unit.client.stub import FakeClock, Service, answer, refusal

TAG = {"ETag": '"tag5"', "Factstore-Cursor": "e.5"}
DOCUMENT = context({"a": 1}).document


@pytest.fixture
def fresh(tmp_path: Path, service: Service, clock: FakeClock) -> Agent:
    """An agent that has not joined yet."""
    return agent(settings(tmp_path), service, clock)


@pytest.fixture
def joined(fresh: Agent, service: Service) -> Agent:
    service.will(answer(201, member()))
    assert fresh.keep_alive()
    return fresh


def test_an_agent_joins_and_then_sends_heartbeats_with_the_applied_cursor(
    fresh: Agent, service: Service
) -> None:
    service.will(answer(201, member()), answer(204), answer(204))
    assert fresh.keep_alive()
    assert fresh.is_present
    for cursor in ("e.5", "e.6"):
        fresh.reconciler.applied_cursor = cursor
        assert not fresh.keep_alive()
    sent = [call.body for call in service.calls[1:]]
    assert sent == [{"generation": "1a", "applied": cursor} for cursor in ("e.5", "e.6")]


def test_an_expired_member_joins_again_and_publishes_all_facts(
    joined: Agent, service: Service, tmp_path: Path
) -> None:
    write(tmp_path / "facts.d" / "a.json", '{"a": 1}')
    joined.collect()
    service.will(
        refusal(409, "generation_stale"),
        answer(200, STACK),
        refusal(404, "not_found"),
        answer(200, STACK),
        answer(201, member("2b")),
        answer(200, {"results": [], "cursor": "e.9"}),
    )
    assert joined.keep_alive()
    assert service.calls[-1].headers["Factstore-Generation"] == "2b"


def test_an_agent_has_joined_even_if_its_facts_cannot_be_published(
    fresh: Agent, service: Service, tmp_path: Path
) -> None:
    write(tmp_path / "facts.d" / "a.json", '{"a": 1}')
    fresh.collect()
    service.will(answer(201, member()), refusal(503, "unavailable"))
    assert fresh.keep_alive()
    service.will(answer(200, batch("created")))
    fresh.publish()
    assert service.calls[-1].body["operations"][0]["put"]["path"] == "nodes/c1/a"


def test_a_cursor_of_another_store_is_dropped(joined: Agent, service: Service) -> None:
    joined.reconciler.applied_cursor = "old.5"
    service.will(refusal(410, "cursor_expired"), answer(204))
    with pytest.raises(errors.Gone):
        joined.keep_alive()
    joined.keep_alive()
    assert service.calls[-1].body == {"generation": "1a"}


def test_a_superseded_agent_raises_an_error(joined: Agent, service: Service) -> None:
    service.will(refusal(409, "generation_stale"), answer(200, STACK), answer(200, member("2b")))
    with pytest.raises(Superseded):
        joined.keep_alive()


def test_a_deleted_stack_raises_an_error(joined: Agent, service: Service) -> None:
    service.will(*[refusal(404, "not_found")] * 2)
    with pytest.raises(StackDeleted):
        joined.keep_alive()
    assert not joined.is_present


# Watching


class Watch:
    """A watcher of an agent's context, and the changes that it reports."""

    def __init__(self, joined: Agent, clock: FakeClock, known: Context | None = None) -> None:
        self.changes: list[tuple[str, str | None]] = []
        self.watcher = ContextWatcher(
            joined.settings,
            joined.stack,
            joined.membership,
            joined.read_set,
            lambda: joined.reconciler.applied_cursor,
            clock,
            known,
            self._on_change,
        )

    def _on_change(self, new: Context, old: Context | None) -> None:
        self.changes.append((new.cursor, old and old.cursor))


@pytest.fixture
def watch(joined: Agent, clock: FakeClock) -> Watch:
    return Watch(joined, clock)


def test_the_watcher_reports_the_context_and_then_its_changes(
    watch: Watch, service: Service
) -> None:
    service.will(answer(200, DOCUMENT, TAG), answer(200, delta(DOCUMENT, "e.9", facts={"a": 2})))
    assert watch.watcher.poll() == APPLY_SECONDS
    assert watch.watcher.poll() == APPLY_SECONDS
    assert watch.changes == [("e.5", None), ("e.9", "e.5")]
    common = {"member": "c1", "view": "none", "wait": "50", "settle": "1000", "max_settle": "10000"}
    first, second = (call.query for call in service.calls[-2:])
    assert first == common | {"since": "0000000000000000.0"}  # it settles, too
    assert second == common | {"since": "e.5"}


def test_the_watcher_of_a_restarted_agent_reports_its_copy_without_waiting(
    joined: Agent, service: Service, clock: FakeClock
) -> None:
    watch = Watch(joined, clock, Context(DOCUMENT, ContextCopy(DOCUMENT).checksum, "e.5"))
    service.will(answer(200, delta(DOCUMENT, "e.5")))
    assert watch.watcher.poll() == APPLY_SECONDS
    assert watch.changes == [("e.5", None)]
    assert service.calls[-1].query == {"member": "c1", "view": "none", "since": "e.5"}


def test_the_watcher_reports_a_reverted_change(watch: Watch, service: Service) -> None:
    service.will(answer(200, DOCUMENT, TAG), answer(200, delta(DOCUMENT, "e.8", facts={"a": 1})))
    watch.watcher.poll()
    assert watch.watcher.poll() == APPLY_SECONDS
    assert watch.changes == [("e.5", None), ("e.8", "e.5")]
    assert watch.watcher.latest is not None
    assert watch.watcher.latest.document == DOCUMENT


def test_the_watcher_pauses_after_an_early_answer_without_a_change(
    watch: Watch, service: Service
) -> None:
    service.will(answer(200, DOCUMENT, TAG), answer(200, delta(DOCUMENT, "e.5")))
    watch.watcher.poll()
    assert watch.watcher.poll() == 1.0
    assert watch.changes == [("e.5", None)]


def test_the_watcher_polls_without_waiting_after_a_failure(watch: Watch, service: Service) -> None:
    service.will(
        answer(200, DOCUMENT, TAG), refusal(400, "bad"), answer(200, delta(DOCUMENT, "e.5"))
    )
    watch.watcher.poll()
    with pytest.raises(errors.BadRequest):
        watch.watcher.poll()
    watch.watcher.poll()
    assert "wait" not in service.calls[-1].query
    assert watch.changes == [("e.5", None), ("e.5", "e.5")]


def test_the_watcher_stops_polling_when_the_member_has_expired(
    joined: Agent, watch: Watch, service: Service
) -> None:
    service.will(
        refusal(404, "not_found"),
        refusal(409, "generation_stale"),
        answer(200, STACK),
        refusal(404, "not_found"),
    )
    assert watch.watcher.poll() is None
    assert not joined.is_present
