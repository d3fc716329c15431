"""The subscriptions of a project."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from factstore.client import urls
from factstore.client.conditional import quoted, unquoted
from factstore.client.errors import NotFound
from factstore.client.paging import next_params
from factstore.client.transport import Transport, parsed

if TYPE_CHECKING:
    from typing import Self

    from factstore.client.http.responses import Response

SUBSCRIPTIONS = "/v1/subscriptions"


@dataclass(frozen=True)
class SubscriptionRecord:
    """A subscription.

    :param stacks: names in which ``*`` stands for any characters and ``?`` for one.
    :param types: change types, *prefixes*, *groups* and *alarms* filter the events; empty for all.
    :param max_events: the most revisions with events in one message.
    :param max_delay: seconds for which an event may wait for others.
    :param state: ``pending``, ``active``, ``paused``, ``suspended``, ``disabled`` or ``deleting``.
    :param reason: why it is suspended or disabled.
    :param delivery: the progress: ``cursor``, ``delivered``, ``failed``, ``attempts``,
        ``failing_since``, ``next_attempt_at``, ``last_error`` and ``tests_pending``.
    :param secret: with which messages are signed; only in the response to creation and rotation.
    :param etag: the value for ``if_match``; None in lists.
    """

    id: str
    name: str
    target: str
    stacks: Sequence[str]
    types: Sequence[str]
    prefixes: Sequence[str]
    groups: Sequence[str]
    alarms: Sequence[str]
    max_events: int
    max_delay: int
    state: str
    reason: str | None
    created_at: str
    created_by: str
    updated_at: str
    updated_by: str
    rotated_at: str | None
    former_secret_until: str | None
    delivery: Mapping[str, Any]
    secret: str | None = field(default=None, repr=False)
    etag: str | None = None

    @classmethod
    def parse(cls, document: Mapping[str, Any], etag: str | None = None) -> Self:
        """Return the subscription in a document.  Unknown fields are ignored."""
        return cls(
            id=document["id"],
            name=document["name"],
            target=document["target"],
            stacks=tuple(document["stacks"]),
            types=tuple(document["types"]),
            prefixes=tuple(document["prefixes"]),
            groups=tuple(document["groups"]),
            alarms=tuple(document["alarms"]),
            max_events=document["max_events"],
            max_delay=document["max_delay"],
            state=document["state"],
            reason=document["reason"],
            created_at=document["created_at"],
            created_by=document["created_by"],
            updated_at=document["updated_at"],
            updated_by=document["updated_by"],
            rotated_at=document["rotated_at"],
            former_secret_until=document["former_secret_until"],
            delivery=document["delivery"],
            secret=document.get("secret"),
            etag=etag,
        )


@dataclass(frozen=True)
class DeliveryRecord:
    """The last attempt to deliver a message.

    :param id: the id of the message, which the target receives as ``webhook-id``.
    :param kind: ``events``, ``challenge``, ``test`` or ``gap``.
    :param delivered: True if the target accepted the message.
    :param status: the HTTP status of the answer; None without one.
    """

    id: str
    kind: str
    at: str
    attempts: int
    events: int
    delivered: bool
    status: int | None
    latency_ms: int
    error: str | None

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Return the delivery in a document.  Unknown fields are ignored."""
        return cls(
            id=document["id"],
            kind=document["kind"],
            at=document["at"],
            attempts=document["attempts"],
            events=document["events"],
            delivered=document["delivered"],
            status=document["status"],
            latency_ms=document["latency_ms"],
            error=document["error"],
        )


class Subscription:
    """Operations on one subscription.  Returned by :meth:`Client.subscription`."""

    def __init__(self, identifier: str, transport: Transport) -> None:
        self.id = identifier
        self._url = urls.item_url("/v1", "subscriptions", identifier)
        self._transport = transport

    def show(self) -> SubscriptionRecord:
        """Return the subscription, without its secret.

        :raises NotFound: it does not exist.
        """
        return _record(self._transport.send("GET", self._url))

    def update(self, *, if_match: str | None = None, **changes: Any) -> SubscriptionRecord:
        """Change the subscription, and return it.

        :param if_match: change it only if it has this etag.
        :param changes: ``name``, ``stacks``, ``types``, ``prefixes``, ``groups``, ``alarms``,
            ``max_events`` and ``max_delay``; what is missing stays as it is.
        :raises PreconditionFailed: it has another etag than *if_match*.
        """
        headers = {} if if_match is None else {"If-Match": quoted(if_match)}
        body = {name: value for name, value in changes.items() if value is not None}
        return _record(self._transport.send("PATCH", self._url, headers=headers, body=body))

    def pause(self) -> SubscriptionRecord:
        """Pause the delivery, and return the subscription.

        :raises Conflict: the target has not confirmed the subscription.
        """
        return self.update(paused=True)

    def resume(self) -> SubscriptionRecord:
        """Resume a paused, suspended or disabled delivery, and return the subscription."""
        return self.update(paused=False)

    def confirm(self, challenge: str) -> SubscriptionRecord:
        """Activate the subscription with the challenge that its target received, and return it.

        :raises Forbidden: it is another challenge.
        """
        return self._post("confirm", {"challenge": challenge})

    def test(self) -> SubscriptionRecord:
        """Request a test message, and return the subscription.  :meth:`deliveries` has the result.

        :raises Conflict: the target has not confirmed the subscription.
        """
        return self._post("test", {})

    def replay(self, since: str) -> SubscriptionRecord:
        """Continue the delivery after a cursor, and return the subscription.

        :raises Gone: the events after the cursor are no longer kept.
        """
        return self._post("replay", {"since": since})

    def rotate(self, *, overlap: int | None = None) -> SubscriptionRecord:
        """Replace the secret, and return the subscription with the new one.

        :param overlap: seconds for which messages are also signed with the former secret; None for a
            day.
        """
        body = {} if overlap is None else {"overlap": overlap}
        return self._post("rotate", body, {"Idempotency-Key": uuid.uuid4().hex})

    def deliveries(self) -> tuple[DeliveryRecord, ...]:
        """Return the last deliveries, the newest first."""
        response = self._transport.send("GET", f"{self._url}/deliveries")
        return parsed(response, lambda page: tuple(map(DeliveryRecord.parse, page["deliveries"])))

    def delete(self) -> None:
        """Delete the subscription; nothing is delivered afterwards.  It may already be deleted."""
        try:
            self._transport.send("DELETE", self._url)
        except NotFound:
            return

    def _post(
        self, verb: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> SubscriptionRecord:
        url = f"{self._url}/{verb}"
        return _record(self._transport.send("POST", url, headers=dict(headers or {}), body=body))


def create(transport: Transport, body: Mapping[str, Any]) -> SubscriptionRecord:
    """Create a subscription, and return it with its secret."""
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    return _record(transport.send("POST", SUBSCRIPTIONS, headers=headers, body=body))


def list_all(
    transport: Transport, project_id: str | None, limit: int
) -> Iterator[SubscriptionRecord]:
    """Iterate over the subscriptions of a project, in the order of their ids."""
    params: dict[str, str] | None = {"limit": str(limit)}
    if project_id is not None:
        params = {"project_id": project_id, **(params or {})}
    while params is not None:
        response = transport.send("GET", SUBSCRIPTIONS, params=params)
        records, params = parsed(response, _page)
        yield from records


def _page(page: dict[str, Any]) -> tuple[list[SubscriptionRecord], dict[str, str] | None]:
    return [SubscriptionRecord.parse(each) for each in page["subscriptions"]], next_params(page)


def _record(response: Response) -> SubscriptionRecord:
    etag = unquoted(response.headers["ETag"])
    return parsed(response, lambda document: SubscriptionRecord.parse(document, etag))
