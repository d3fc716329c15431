"""The messages that targets receive: CloudEvents 1.0 in JSON, one or a batch."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence

from factstore.core.model.cursor import Cursor
from factstore.core.model.event import Event
from factstore.core.model.quick_dataclass import quick_dataclass

TYPE = "org.openstack.factstore"
CHANGE, GAP, TEST, CHALLENGE = (f"{TYPE}.{each}" for each in ("change", "gap", "test", "challenge"))
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"

Render = Callable[[Sequence[Event], str], Iterable[str]]
"""Returns the events of one revision, in a store of an epoch, as JSON: the data of ``/v1/events``."""


@quick_dataclass(frozen=True, slots=True)
class CloudEvent:
    """One event.

    :param id: the same whenever the event is delivered to the subscription.
    :param source: the resource that it is about, as a path of the API.
    :param data: as JSON.
    :param cursor: where the subscription continues afterwards; None if it does not move.
    """

    type: str
    id: str
    source: str
    data: str
    cursor: Cursor | None = None

    @property
    def text(self) -> str:
        """The event in the structured mode."""
        # The grammar of ids and of names has no character that JSON escapes.
        return (
            f'{{"specversion": "1.0", "type": "{self.type}", "id": "{self.id}", '
            f'"source": "{self.source}", "datacontenttype": "application/json", "data": {self.data}}}'
        )


@quick_dataclass(frozen=True, slots=True)
class Message:
    """Events that are delivered together, at least one.

    :param batch: True if the target receives an array, even of one event.
    """

    events: tuple[CloudEvent, ...]
    batch: bool = False

    @property
    def id(self) -> str:
        """The id of the last event: a target that has received it has received all events before it.

        A notifier that takes over may form another batch of events that were delivered before.
        """
        return self.events[-1].id

    @property
    def cursor(self) -> Cursor | None:
        """Where the subscription continues afterwards; None if it does not move."""
        return self.events[-1].cursor

    @property
    def content_type(self) -> str:
        """The value of the header ``Content-Type``."""
        return BATCH if self.batch else STRUCTURED

    @property
    def body(self) -> bytes:
        """The message as it is sent and signed."""
        if self.batch:
            return f"[{','.join(event.text for event in self.events)}]".encode()
        return self.events[0].text.encode()


def change(
    subscription: str, events: Sequence[Event], cursor: Cursor, render: Render
) -> CloudEvent:
    """Return the events of one revision as one event."""
    stacks = {event.scope.stack for event in events}
    source = f"/v1/stacks/{stacks.pop()}" if len(stacks) == 1 else "/v1/events"
    data = "".join(render(events, cursor.epoch))
    return CloudEvent(CHANGE, f"{subscription}.{cursor}", source, data, cursor)


def gap(subscription: str, cursor: Cursor) -> CloudEvent:
    """Return an event which reports that events before a cursor were lost."""
    data = json.dumps(
        {
            "cursor": str(cursor),
            "detail": "Events before this cursor were not delivered, because the history is no longer "
            "kept. Read the present state, such as the context of each stack.",
        }
    )
    return CloudEvent(GAP, f"{subscription}.{cursor}.gap", _path(subscription), data, cursor)


def test(subscription: str, number: int) -> CloudEvent:
    """Return an event that a user has requested in order to test a target."""
    data = json.dumps({"detail": "This is a test."})
    return CloudEvent(TEST, f"{subscription}.test.{number}", _path(subscription), data)


def challenge(subscription: str, token: str) -> CloudEvent:
    """Return an event with which a target confirms that it wants the events of a subscription."""
    data = json.dumps(
        {
            "challenge": token,
            "detail": 'Answer with status 200 and {"challenge": "..."} to confirm the subscription.',
        }
    )
    return CloudEvent(CHALLENGE, f"{subscription}.challenge", _path(subscription), data)


def is_confirmed(body: bytes, token: str) -> bool:
    """Return True if the body of a response repeats a challenge."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(answer, dict) and answer.get("challenge") == token


def _path(subscription: str) -> str:
    return f"/v1/subscriptions/{subscription}"
