"""Webhooks: signed requests to a web server."""

from __future__ import annotations

from collections.abc import Sequence

from factstore.core.model.target import Target
from factstore.notify.deadline import Deadline
from factstore.notify.messages import CHALLENGE, Message
from factstore.notify.signature import signed_headers
from factstore.notify.targets.base import KeptConnection, Outcome, Surroundings, outcome
from factstore.notify.web_client import RequestFailed

USER_AGENT = "factstore-notify"


class Webhook:
    """Sends messages to a web server."""

    def __init__(self, target: Target, project_id: str, surroundings: Surroundings) -> None:
        self._connection = KeptConnection(surroundings, project_id, target)
        self._timestamp = surroundings.timestamp
        self._allowed = target.encrypted or surroundings.allow_http

    def send(self, message: Message, secrets: Sequence[str], deadline: Deadline) -> Outcome:
        """See :class:`TargetSender`."""
        if not self._allowed:  # it was, when the subscription was created
            return Outcome(error="this service does not deliver without TLS any longer")
        body = message.body
        headers = {
            "User-Agent": USER_AGENT,
            "Content-Type": message.content_type,
            **signed_headers(message.id, int(self._timestamp()), body, secrets),
        }
        challenges = message.events[0].type == CHALLENGE
        try:
            return outcome(self._connection.post(headers, body, deadline, reads_body=challenges))
        except RequestFailed as error:
            return Outcome(error=str(error))

    def close(self) -> None:
        """See :class:`TargetSender`."""
        self._connection.close()
