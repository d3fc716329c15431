"""Tests of the bodies of messages."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from factstore.core.model.cursor import Cursor
from factstore.core.model.event import Event
from factstore.core.model.fact import Scope
from factstore.notify import messages
from factstore.notify.messages import Message

EPOCH = "0123456789abcdef"


def rendered(events: Sequence[Event], epoch: str) -> list[str]:
    return ['{"cursor": "', f"{epoch}.{events[0].revision}", '"}']


def changed(revision: int, *stacks: str) -> messages.CloudEvent:
    events = [Event(Scope("p", stack), "s", revision, ()) for stack in stacks]
    return messages.change("sub", events, Cursor(EPOCH, revision), rendered)


def test_a_change_is_a_structured_cloud_event_with_the_data_of_the_watch() -> None:
    message = Message((changed(7, "slurm"),))
    assert message.content_type == "application/cloudevents+json"
    assert message.id == f"sub.{EPOCH}.7"
    assert json.loads(message.body) == {
        "specversion": "1.0",
        "type": "org.openstack.factstore.change",
        "id": f"sub.{EPOCH}.7",
        "source": "/v1/stacks/slurm",
        "datacontenttype": "application/json",
        "data": {"cursor": f"{EPOCH}.7"},
    }


def test_a_batch_is_an_array_with_the_id_of_its_last_event() -> None:
    message = Message((changed(7, "a"), changed(9, "a", "b")), batch=True)
    assert message.content_type == "application/cloudevents-batch+json"
    assert (message.id, message.cursor) == (f"sub.{EPOCH}.9", Cursor(EPOCH, 9))
    found = json.loads(message.body)
    assert [event["id"] for event in found] == [f"sub.{EPOCH}.7", f"sub.{EPOCH}.9"]
    assert found[1]["source"] == "/v1/events"


def test_the_ids_of_other_messages_are_never_those_of_changes() -> None:
    cursor = Cursor(EPOCH, 7)
    others = messages.gap("sub", cursor), messages.test("sub", 7), messages.challenge("sub", "t")
    assert len({changed(7, "a").id, *(event.id for event in others)}) == 4
    assert others[0].cursor == cursor
    assert json.loads(others[2].data)["challenge"] == "t"


@pytest.mark.parametrize(
    ("body", "confirms"),
    [
        (b'{"challenge": "token"}', True),
        (b'{"challenge": "other"}', False),
        (b'["token"]', False),
        (b"token", False),
        (b"\xff", False),
        (b"[" * 60_000, False),
    ],
)
def test_a_challenge_is_confirmed_by_its_token_in_json(body: bytes, confirms: bool) -> None:
    assert messages.is_confirmed(body, "token") == confirms
