"""The parts that the kinds of targets share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.target import Target
from factstore.notify.deadline import Deadline, TimedOut
from factstore.notify.host_slots import HostSlots
from factstore.notify.messages import Message
from factstore.notify.web_client import (
    Answer,
    Connection,
    ConnectionLost,
    RequestFailed,
    WebClient,
)

GONE = 410


@quick_dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one attempt.

    :param status: of the response; None without one.
    :param error: None if the message was accepted.
    :param retry_after: the seconds for which the target wants no other attempt.
    :param body: the beginning of the response, for a challenge.
    """

    status: int | None = None
    error: str | None = None
    retry_after: float | None = None
    body: bytes = b""

    @property
    def gone(self) -> bool:
        """True if the target wants no message any more."""
        return self.status == GONE


class TargetSender(Protocol):
    """Sends messages to one target, one after another."""

    def send(self, message: Message, secrets: Sequence[str], deadline: Deadline) -> Outcome:
        """Send a message once. Raises SendingEnded, as the deadline does."""

    def close(self) -> None:
        """Close connections."""


class Cloud(Protocol):
    """The other services of the cloud, as Keystone and the operator describe them."""

    def headers(self, project_id: str, trust_id: str | None) -> Mapping[str, str]:
        """Return headers with which Zaqar accepts requests in a project. Raises CloudError."""

    def forget(self, project_id: str, trust_id: str | None) -> None:
        """Request a new token for the next headers, because the token was refused."""

    def zaqar_endpoint(self) -> str:
        """Return the URL of Zaqar, without a slash at the end. Raises CloudError."""

    def heat_endpoints(self) -> Sequence[str]:
        """Return the URLs of Heat, without a slash at the end. Raises CloudError."""


class CloudError(Exception):
    """Keystone refused a token or did not answer. The text is shown to the subscription's owner."""


@quick_dataclass(frozen=True, slots=True)
class Surroundings:
    """The parts that the kinds of targets need.

    :param slots: limit the requests to one host for one project.
    :param timestamp: returns the seconds since 1970.
    :param allow_http: True if web servers may be reached without TLS.
    """

    web: WebClient
    cloud: Cloud
    slots: HostSlots
    timestamp: Callable[[], float]
    allow_http: bool = False


class KeptConnection:
    """A connection to a web server that is used again as long as the server keeps it.

    :param trusted: see :meth:`WebClient.connect`.
    """

    def __init__(
        self,
        surroundings: Surroundings,
        project_id: str,
        target: Target,
        *,
        trusted: bool = False,
    ) -> None:
        self._web, self._slots = surroundings.web, surroundings.slots
        self._project_id = project_id
        self._target = target
        self._trusted = trusted
        self._connection: Connection | None = None

    def post(
        self,
        headers: Mapping[str, str],
        body: bytes,
        deadline: Deadline,
        *,
        reads_body: bool = False,
    ) -> Answer:
        """Send a request; the errors are those of :class:`Connection`."""
        try:
            with self._slots.taken(self._project_id, self._target.host, deadline):
                return self._post_again(headers, body, deadline, reads_body)
        except TimedOut:
            raise RequestFailed("too many requests to this host were running") from None

    def _post_again(
        self, headers: Mapping[str, str], body: bytes, deadline: Deadline, reads_body: bool
    ) -> Answer:
        """Send a request, and send it again if the connection had been closed while it was idle."""
        kept = self._connection
        if kept is not None and not kept.is_idle():
            self.close()
        elif kept is not None:
            try:
                return self._post(kept, headers, body, deadline, reads_body)
            except ConnectionLost:
                pass
        fresh = self._web.connect(self._target, deadline, trusted=self._trusted)
        return self._post(fresh, headers, body, deadline, reads_body)

    def _post(
        self,
        connection: Connection,
        headers: Mapping[str, str],
        body: bytes,
        deadline: Deadline,
        reads_body: bool,
    ) -> Answer:
        self._connection = connection
        try:
            return connection.post(headers, body, deadline, reads_body=reads_body)
        finally:
            if not connection.reusable:
                self.close()

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def outcome(answer: Answer) -> Outcome:
    """Return the outcome that a response means."""
    if 200 <= answer.status < 300:
        return Outcome(answer.status, body=answer.body)
    if 300 <= answer.status < 400:
        error = "the target redirects, which is not followed"
    else:
        error = f"the target answered with status {answer.status}"
    return Outcome(answer.status, error, answer.retry_after)
