"""Queues of Zaqar: each event becomes one message.

The notifier's own user sends them, in the project of the subscription.  It can, if that project has
given the user a role, or a trust; the project of a trust is compared, too.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence

from factstore.core.model.target import Target
from factstore.notify.deadline import Deadline
from factstore.notify.messages import CloudEvent, Message
from factstore.notify.targets.base import (
    CloudError,
    KeptConnection,
    Outcome,
    Surroundings,
    outcome,
)
from factstore.notify.web_client import RequestFailed

REQUEST_BYTES = 200 * 1024  # Zaqar refuses requests of more than 256 KiB, unless it is configured
REQUEST_MESSAGES = 20  # the number that Zaqar accepts in a request by default


class ZaqarQueue:
    """Posts the events of a message to a queue."""

    def __init__(self, target: Target, project_id: str, surroundings: Surroundings) -> None:
        self._parameters = target.parameters
        self._project_id = project_id
        self._surroundings = surroundings
        self._client_id = str(uuid.uuid4())
        self._connection: KeptConnection | None = None
        self._url = ""

    def send(self, message: Message, secrets: Sequence[str], deadline: Deadline) -> Outcome:
        """See :class:`TargetSender`."""
        trust = self._parameters.get("trust_id")
        result = Outcome()
        try:
            connection = self._connect()
            for body in self._bodies(message.events):
                headers = {
                    "Content-Type": "application/json",
                    "Client-ID": self._client_id,
                    **self._surroundings.cloud.headers(self._project_id, trust),
                }
                result = outcome(connection.post(headers, body, deadline))
                if result.error is not None:
                    break
        except (RequestFailed, CloudError) as error:
            return Outcome(error=str(error))
        if result.status == 401:
            self._surroundings.cloud.forget(self._project_id, trust)
        if result.gone:  # of a queue it has no meaning
            return Outcome(result.status and 404, result.error)
        return result

    def _connect(self) -> KeptConnection:
        queue = self._parameters["queue_name"]
        url = f"{self._surroundings.cloud.zaqar_endpoint()}/v2/queues/{queue}/messages"
        if self._connection is None or url != self._url:
            self.close()
            # The operator has named the endpoint, whose address is often internal.
            target = Target.parse(url, allow_http=True)
            self._connection = KeptConnection(
                self._surroundings, self._project_id, target, trusted=True
            )
            self._url = url
        return self._connection

    def _bodies(self, events: Sequence[CloudEvent]) -> Iterator[bytes]:
        """Yield the bodies of requests that Zaqar accepts."""
        ttl = int(self._parameters.get("ttl", 0))
        part: list[str] = []
        size = 0
        for event in events:
            text = event.text
            if len(text) > REQUEST_BYTES:
                text = _without_data(event)
            if part and (size + len(text) > REQUEST_BYTES or len(part) == REQUEST_MESSAGES):
                yield _body(part)
                part, size = [], 0
            part.append(f'{{"ttl": {ttl}, "body": {text}}}' if ttl else f'{{"body": {text}}}')
            size += len(text)
        yield _body(part)

    def close(self) -> None:
        """See :class:`TargetSender`."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _body(messages: Sequence[str]) -> bytes:
    return f'{{"messages": [{",".join(messages)}]}}'.encode()


def _without_data(event: CloudEvent) -> str:
    """Return an event that is too large for a queue without its changes; its cursor is enough."""
    data = json.dumps({"cursor": str(event.cursor), "too_large": True})
    return CloudEvent(event.type, event.id, event.source, data).text
