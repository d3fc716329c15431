"""Signals to resources of Heat, such as scaling policies and wait conditions.

The target is the signed URL that Heat makes for a resource, the attribute ``alarm_url`` of a scaling
policy.  It contains the credentials, so nothing else has to be trusted, but it must be a URL of this
cloud's Heat: other servers would not have been asked whether they want the requests.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from factstore.core.model.target import HEAT_SIGNAL, Target
from factstore.notify.deadline import Deadline
from factstore.notify.messages import Message
from factstore.notify.targets.base import (
    CloudError,
    KeptConnection,
    Outcome,
    Surroundings,
    outcome,
)
from factstore.notify.web_client import RequestFailed


class HeatSignal:
    """Signals a resource for each message."""

    def __init__(self, target: Target, project_id: str, surroundings: Surroundings) -> None:
        self._url = target.text.removeprefix(HEAT_SIGNAL)
        self._cloud = surroundings.cloud
        # The operator has named the endpoints of Heat, whose addresses are often internal.
        self._connection = KeptConnection(surroundings, project_id, target, trusted=True)

    def send(self, message: Message, secrets: Sequence[str], deadline: Deadline) -> Outcome:
        """See :class:`TargetSender`."""
        try:
            endpoints = self._cloud.heat_endpoints()
        except CloudError as error:
            return Outcome(error=str(error))
        path = self._url.partition("?")[0].lower()
        below = any(self._url.startswith(f"{endpoint}/") for endpoint in endpoints)
        if not below or ".." in path or "%2e" in path:
            return Outcome(error="the target is not a URL of this cloud's Heat")
        data = [json.loads(event.data) for event in message.events]
        # A scaling policy reads "state", a wait condition the other members.
        signal = {
            "id": message.id,
            "status": "SUCCESS",
            "reason": message.events[-1].source,
            "data": data if message.batch else data[0],
            "state": "alarm",
        }
        try:
            return outcome(
                self._connection.post(
                    {"Content-Type": "application/json"}, json.dumps(signal).encode(), deadline
                )
            )
        except RequestFailed as error:
            return Outcome(error=str(error))

    def close(self) -> None:
        """See :class:`TargetSender`."""
        self._connection.close()
