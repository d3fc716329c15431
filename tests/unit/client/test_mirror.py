"""A mirror, with a service that answers from a script."""

from __future__ import annotations

from typing import Any

import pytest

from factstore.client import Context, Mirror
from factstore.client.context_copy import ContextCopy
from factstore.client.errors import Conflict, NotFound, Unavailable, UnexpectedAnswer
from tests.unit.client.deltas import delta
from tests.unit.client.stub import FakeClock, Service, answer, hang_up, refusal, stack_at

WHOLE: dict[str, Any] = {"stack": "slurm", "facts": {"a": 1}, "members": {}}
TAG = {"ETag": '"t"', "Factstore-Cursor": "e.5"}
MEMBER = {"group": "compute", "state": "ready", "attributes": {}}


def checksum(document: dict[str, Any]) -> str:
    return ContextCopy(document).checksum


class Changes(list[tuple[Any, Any]]):
    """The facts of each new context, and of the one before."""

    def note(self, new: Context, old: Context | None) -> None:
        self.append((new.facts, old and old.facts))


def test_a_mirror_reads_the_context_once_and_then_its_changes(
    service: Service, clock: FakeClock
) -> None:
    changes = Changes()
    mirror = service.stack(clock).mirror(
        member="c1", results=True, settle=0.5, max_settle=3, on_change=changes.note
    )
    assert (mirror.context, mirror.synced, mirror.stale) == (None, False, False)
    service.will(
        answer(200, WHOLE, TAG),
        answer(200, delta(WHOLE, "e.7", facts={"b/c": 2}, members={"c1": MEMBER})),
    )
    first = mirror.update(wait=20)
    second = mirror.update(wait=20)
    assert first == Context(WHOLE, checksum(WHOLE), "e.5")
    assert second.document == {
        "stack": "slurm",
        "facts": {"a": 1, "b": {"c": 2}},
        "members": {"c1": MEMBER},
        "self": {"name": "c1", **MEMBER, "facts": {}},
        "peers": {},
    }
    assert (second.etag, second.cursor) == (checksum(second.document), "e.7")
    assert changes == [({"a": 1}, None), ({"a": 1, "b": {"c": 2}}, {"a": 1})]
    view = {"member": "c1", "view": "none", "include": "results"}
    waits = {"since": "e.5", "wait": "20", "settle": "500", "max_settle": "3000"}
    assert [call.query for call in service.calls] == [view, view | waits]
    assert (mirror.documents, mirror.deltas, mirror.mismatches) == (1, 1, 0)


@pytest.mark.parametrize(("wait", "settle"), [(20, 0.5), (0, 0.5), (20, 0)])
def test_the_first_context_settles_if_that_is_wanted_and_the_request_may_wait(
    service: Service, clock: FakeClock, wait: int, settle: float
) -> None:
    mirror = service.stack(clock).mirror(settle=settle, first_settles=True)
    service.will(answer(200, WHOLE, TAG), answer(200, delta(WHOLE, "e.7", facts={"b": 2})))
    assert mirror.update(wait=wait).cursor == "e.5"
    assert mirror.update().facts == {"a": 1, "b": 2}
    nothing = {"since": "0000000000000000.0", "wait": "20", "settle": "500"}
    first, second = (call.query for call in service.calls)
    assert first == (nothing if wait and settle else {})
    assert second["since"] == "e.5"
    assert (mirror.documents, mirror.deltas) == (1, 1)


def test_a_mirror_reports_what_the_member_has_applied(service: Service, clock: FakeClock) -> None:
    mirror = service.stack(clock).mirror(member="c1", view="none")
    service.will(
        answer(200, WHOLE, TAG),
        answer(200, delta(WHOLE, "e.7")),
        refusal(409, "contextualization.generation_stale"),
    )
    for _ in range(2):
        mirror.update(20, "12ab", applied="e.5", generation="77")
    with pytest.raises(Conflict):
        mirror.update(applied="e.7", generation="77")
    report = {"member": "c1", "view": "none", "since": "e.5", "applied": "e.5"}
    assert service.calls[1].query == report | {"wait": "20", "read_set": "12ab"}
    assert service.calls[2].query == report | {"since": "e.7", "applied": "e.7"}
    assert [call.headers.get("Factstore-Generation") for call in service.calls[1:]] == ["77"] * 2


def test_a_mirror_continues_from_a_known_context(service: Service, clock: FakeClock) -> None:
    changes = Changes()
    known = Context(WHOLE, checksum(WHOLE), "e.5")
    mirror = service.stack(clock).mirror(known=known, on_change=changes.note)
    assert (mirror.context, mirror.synced) == (known, False)
    service.will(answer(200, delta(WHOLE, "e.5")), answer(200, delta(WHOLE, "e.9")))
    assert mirror.update() is known
    assert mirror.synced
    assert mirror.update() == Context(WHOLE, known.etag, "e.9")
    assert [call.query for call in service.calls] == [{"since": "e.5"}] * 2
    assert changes == []


def test_a_wrong_copy_is_replaced_by_the_whole_context(
    service: Service, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = {**WHOLE, "facts": {"a": 2}}
    mirror = service.stack(clock).mirror(known=Context(wrong, checksum(wrong), "e.5"))
    service.will(answer(200, delta(WHOLE, "e.7", facts={"b": 1})), answer(200, WHOLE, TAG))
    assert mirror.update(wait=20).document == WHOLE
    assert mirror.mismatches == 1
    assert "not that of the service" in caplog.text
    assert service.calls[1].query == {}


def test_a_whole_context_instead_of_changes_replaces_the_copy(
    service: Service, clock: FakeClock
) -> None:
    mirror = service.stack(clock).mirror(known=Context(WHOLE, checksum(WHOLE), "e.5"))
    other = {**WHOLE, "facts": {"z": 1}}
    service.will(answer(200, other, {**TAG, "Factstore-Checksum": checksum(other)}))
    assert mirror.update().document == other
    assert (mirror.documents, mirror.deltas, mirror.mismatches) == (1, 0, 0)


def test_a_whole_context_with_another_checksum_is_not_taken(
    service: Service, clock: FakeClock
) -> None:
    mirror = service.stack(clock).mirror()
    service.will(answer(200, WHOLE, {**TAG, "Factstore-Checksum": "0" * 32}))
    with pytest.raises(UnexpectedAnswer):
        mirror.update()
    assert (mirror.context, mirror.synced, mirror.stale) == (None, False, True)


def test_a_mirror_is_stale_until_the_service_answers_again(
    service: Service, clock: FakeClock
) -> None:
    mirror = service.stack(clock, retry_for=0).mirror()
    service.will(answer(200, WHOLE, TAG), hang_up, answer(200, delta(WHOLE, "e.6")))
    mirror.update()
    with pytest.raises(Unavailable):
        mirror.update()
    assert (mirror.synced, mirror.stale) == (True, True)
    mirror.update()
    assert (mirror.synced, mirror.stale) == (True, False)


# Following


def follow(mirror: Mirror, service: Service, *answers: Any) -> None:
    """Follow until the stack is deleted."""
    service.will(*answers, refusal(404, "not_found"))
    with pytest.raises(NotFound):
        mirror.follow()


def test_following_continues_with_the_cursor_after_failures(
    service: Service, clock: FakeClock
) -> None:
    changes = Changes()
    mirror = service.stack(clock, retry_for=0).mirror(on_change=changes.note)
    follow(
        mirror,
        service,
        answer(200, WHOLE, TAG),
        *(refusal(503, "unavailable"), hang_up),
        answer(200, delta(WHOLE, "e.7", deleted=["a"])),
    )
    assert changes == [({"a": 1}, None), ({}, {"a": 1})]
    assert [call.query.get("since") for call in service.calls] == [None, *["e.5"] * 3, "e.7"]
    assert len(clock.pauses) == 2
    assert mirror.documents == 1


def test_following_pauses_after_an_early_answer_without_a_change(
    service: Service, clock: FakeClock
) -> None:
    follow(
        service.stack(clock).mirror(),
        service,
        answer(200, WHOLE, TAG),
        answer(200, delta(WHOLE, "e.5")),
    )
    assert clock.pauses == [1.0]


def test_following_gives_up_after_the_time_without_the_service(clock: FakeClock) -> None:
    known = Context(WHOLE, checksum(WHOLE), "e.5")
    mirror = stack_at("http://127.0.0.1:1", clock, retry_for=0).mirror(known=known, retry_for=100)
    with pytest.raises(Unavailable):
        mirror.follow()
    assert 100 <= sum(clock.pauses) < 200
    assert mirror.context is known


def test_following_ends_when_the_mirror_is_closed(service: Service, clock: FakeClock) -> None:
    mirror = service.stack(clock).mirror(on_change=lambda new, old: mirror.close())
    service.will(answer(200, WHOLE, TAG))
    mirror.follow()
    assert mirror.synced
