"""The heart and the eye, step by step, before a service that answers as it is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from factstore.agent.agent import Parts
from factstore.agent.error_log import Troubles
from factstore.agent.errors import StackDeleted, Superseded
from factstore.agent.loops import Eye, Heart
from tests.unit.agent.factories import STACK, context, member, parts, settings
from tests.unit.client.stub import FakeClock, Service, answer, hang_up, refusal

TAG = {"ETag": '"tag5"', "Factstore-Cursor": "e.5"}
SAME = {"ETag": '"tag5"', "Factstore-Cursor": "e.8"}
DOCUMENT = context({"a": 1}).document


class Body:
    """An agent without its main thread."""

    def __init__(
        self, directory: Path, service: Service, clock: FakeClock, **agent: object
    ) -> None:
        self.words: list[str] = []
        self.parts: Parts = parts(settings(directory, **agent), service, clock)
        troubles = Troubles(clock)
        self.heart = Heart(self.parts, troubles, self.words.append)
        self.eye = Eye(self.parts, troubles, clock, self.words.append, None)


@pytest.fixture
def body(tmp_path: Path, service: Service, clock: FakeClock) -> Body:
    return Body(tmp_path, service, clock)


@pytest.fixture
def joined(body: Body, service: Service) -> Body:
    service.will(answer(201, member()))
    body.heart.step()
    body.words.clear()
    return body


def test_the_heart_joins_and_beats_three_times_in_a_ttl(body: Body, service: Service) -> None:
    service.will(answer(201, member()), answer(204), answer(204))
    assert body.heart.step() == 10.0
    body.parts.reconciler.applied_cursor = "e.5"
    assert body.heart.step() == 10.0
    body.parts.reconciler.applied_cursor = "e.6"
    assert body.heart.step() == 10.0
    assert body.words == ["joined"]
    sent = [call.body for call in service.calls[1:]]
    assert sent == [{"generation": "1a", "applied": cursor} for cursor in ("e.5", "e.6")]


def test_a_heart_that_is_not_heard_tries_again_soon_and_says_that_it_is_alone(
    joined: Body, service: Service
) -> None:
    service.will(refusal(503, "unavailable"), hang_up, *[refusal(503, "unavailable")] * 8)
    pauses = [joined.heart.step() for _ in range(10)]
    assert 0.5 <= pauses[0] <= 1.0
    assert max(pauses) <= 10.0
    assert set(joined.words) == {"alone"}


def test_one_that_never_joined_waits_longer_but_not_too_long(body: Body, service: Service) -> None:
    service.will(*[refusal(503, "unavailable")] * 10)
    pauses = [body.heart.step() for _ in range(10)]
    assert 15.0 <= pauses[-1] <= 30.0


def test_the_heart_joins_anew_and_tells_everything_when_it_was_given_up(
    joined: Body, service: Service, tmp_path: Path
) -> None:
    (tmp_path / "facts.d").mkdir()
    (tmp_path / "facts.d" / "a.json").write_text('{"a": 1}')
    joined.parts.collect()
    results = answer(200, {"results": [], "cursor": "e.9"})
    service.will(
        refusal(409, "generation_stale"),
        answer(200, STACK),
        refusal(404, "not_found"),
        answer(200, STACK),
        answer(201, member("2b")),
        results,
    )
    joined.heart.step()
    assert joined.words == ["joined"]
    assert service.calls[-1].headers["Factstore-Generation"] == "2b"


def test_a_heart_that_could_not_tell_facts_has_joined_all_the_same(
    body: Body, service: Service, tmp_path: Path
) -> None:
    (tmp_path / "facts.d").mkdir()
    (tmp_path / "facts.d" / "a.json").write_text('{"a": 1}')
    body.parts.collect()
    service.will(answer(201, member()), refusal(503, "unavailable"))
    assert body.heart.step() == 10.0
    assert body.words == ["joined"]
    assert body.parts.publisher.has_changes


def test_a_cursor_of_another_store_is_dropped_and_the_heart_goes_on(
    joined: Body, service: Service
) -> None:
    joined.parts.reconciler.applied_cursor = "old.5"
    service.will(refusal(410, "cursor_expired"), answer(204))
    joined.heart.step()
    joined.heart.step()
    assert service.calls[-1].body == {"generation": "1a"}


def test_a_credential_that_does_not_hold_is_told(joined: Body, service: Service) -> None:
    service.will(refusal(401, "unauthorized"))
    joined.heart.step()
    assert "unauthorized" in joined.words


def test_who_was_replaced_ends(joined: Body, service: Service) -> None:
    service.will(refusal(409, "generation_stale"), answer(200, STACK), answer(200, member("2b")))
    with pytest.raises(Superseded):
        joined.heart.step()


@pytest.mark.parametrize("ends", ["yes", "no"])
def test_the_end_of_the_stack_is_the_end_of_the_agent_if_that_is_wished(
    tmp_path: Path, service: Service, clock: FakeClock, ends: str
) -> None:
    body = Body(tmp_path, service, clock, end_with_stack=ends)
    service.will(answer(201, member()), *[refusal(404, "not_found")] * 2)
    body.heart.step()
    if ends == "yes":
        with pytest.raises(StackDeleted):
            body.heart.step()
    else:
        assert body.heart.step() <= 1.0


def test_the_eye_sees_the_context_and_then_what_becomes_of_it(
    joined: Body, service: Service
) -> None:
    newer = {"ETag": '"tag9"', "Factstore-Cursor": "e.9"}
    service.will(answer(200, DOCUMENT, TAG), answer(200, DOCUMENT, newer))
    assert joined.eye.step() == 0.0
    assert joined.eye.latest is not None
    assert joined.eye.latest.cursor == "e.5"
    joined.eye.step()
    assert joined.eye.latest.cursor == "e.9"
    assert joined.words == ["context", "context"]
    first, second = service.calls[-2:]
    assert first.query == {"member": "c1"}
    assert second.query == {"member": "c1", "wait": "50", "settle": "1000", "max_settle": "10000"}


def test_the_eye_sees_that_a_change_was_undone(joined: Body, service: Service) -> None:
    service.will(answer(200, DOCUMENT, TAG), answer(304, None, SAME))
    joined.eye.step()
    assert joined.eye.step() == 0.0
    assert joined.words == ["context", "context"]
    assert joined.eye.latest == context({"a": 1}).__class__(DOCUMENT, "tag5", "e.8")


def test_nothing_new_is_no_news_and_an_early_answer_makes_no_hurry(
    joined: Body, service: Service
) -> None:
    service.will(answer(200, DOCUMENT, TAG), answer(304, None, TAG))
    joined.eye.step()
    joined.words.clear()
    assert joined.eye.step() == 1.0
    assert joined.words == []


def test_after_trouble_the_eye_looks_at_once(joined: Body, service: Service) -> None:
    service.will(
        answer(200, DOCUMENT, TAG),
        *[refusal(400, "bad")],
        answer(304, None, TAG),
    )
    joined.eye.step()
    assert 0.5 <= joined.eye.step() <= 1.0
    joined.eye.step()
    assert "wait" not in service.calls[-1].query


def test_an_eye_that_finds_no_member_makes_the_heart_join(joined: Body, service: Service) -> None:
    service.will(
        refusal(404, "not_found"),
        refusal(409, "generation_stale"),
        answer(200, STACK),
        refusal(404, "not_found"),
    )
    assert joined.eye.step() == 0.0
    assert not joined.parts.membership.joined.is_set()


def test_trouble_is_told_once_and_its_end_too(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    troubles = Troubles(clock)
    with caplog.at_level("INFO", "factstore"):
        for number in range(5):
            troubles.tell("x", OSError(f"object at <a.B object at 0x{number}f>: broken"))
        clock.sleep(700)
        troubles.tell("x", OSError("still"))
        troubles.tell("x", ValueError("other"))
        troubles.over("x")
        troubles.over("x")
    said = [record.getMessage() for record in caplog.records]
    assert said == ["x: object at broken", "x: still", "x: other", "x: works again"]
