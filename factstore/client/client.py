"""The client: the connection to the service, and the stacks of a project."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from factstore import SERVICE_TYPE
from factstore.client import subscription
from factstore.client.clock import Clock, SystemClock
from factstore.client.endpoint import MICROVERSION, Endpoint
from factstore.client.errors import UnexpectedAnswer
from factstore.client.http.session import HttpSession
from factstore.client.paging import next_params
from factstore.client.query import query_params, settle_params
from factstore.client.records import StackRecord
from factstore.client.stack import Stack
from factstore.client.subscription import Subscription, SubscriptionRecord
from factstore.client.transport import (
    ANSWER_SECONDS,
    STREAM_SILENCE_SECONDS,
    Transport,
    parsed,
)
from factstore.client.watch import StacksWatch

if TYPE_CHECKING:
    from keystoneauth1.session import Session


class Client:
    """A client for the stacks of one project.

    :param session: a keystoneauth session with an auth plugin.  :func:`connect` passes an endpoint.
    :param service_type: the service type in the catalog.
    :param interface: such as ``public`` or ``internal``; None for keystoneauth's default.
    :param endpoint_override: the root URL of the service, instead of the endpoint in the catalog.
    :param retry_for: seconds after which a failing call is no longer retried.
    :param answer_within: time limit of a response in seconds, in addition to a requested wait.
    :param stream_silence: seconds without data after which a watch reconnects; the service sends data
        every 15 seconds.
    :param clock: for tests.
    :param client_name: the User-Agent of the requests.
    :param cause: the cursor on which all writes act; see :meth:`Stack.acting_on`.
    :param http: sends the requests; None for the CAs and proxies that the session or the
        environment names.
    :param options: further parameters of :class:`keystoneauth1.adapter.Adapter`.
    """

    def __init__(
        self,
        session: Session | Endpoint,
        *,
        service_type: str = SERVICE_TYPE,
        interface: str | None = None,
        region_name: str | None = None,
        endpoint_override: str | None = None,
        retry_for: float = 30.0,
        answer_within: float = ANSWER_SECONDS,
        stream_silence: float = STREAM_SILENCE_SECONDS,
        clock: Clock | None = None,
        client_name: str = "factstore-client",
        default_microversion: str = MICROVERSION,
        http: HttpSession | None = None,
        cause: str | None = None,
        **options: Any,
    ) -> None:
        clock = clock or SystemClock()
        if isinstance(session, Endpoint):
            self._endpoint = session
        else:
            from factstore.client import keystone  # needs keystoneauth1, which grants do not

            http = http or keystone.http_session(session)
            self._endpoint = keystone.KeystoneEndpoint(
                session,
                clock,
                http.trust,
                service_type=service_type,
                interface=interface,
                region_name=region_name,
                endpoint_override=endpoint_override,
                **options,
            )
        self._transport = Transport(
            self._endpoint,
            http or HttpSession.from_environ(os.environ),
            clock,
            retry_for,
            stream_silence,
            answer_within,
            {
                "OpenStack-API-Version": f"{SERVICE_TYPE} {default_microversion}",
                "User-Agent": client_name,
            },
        ).acting_on(cause)

    @property
    def endpoint(self) -> str:
        """The root URL of the service."""
        return self._endpoint.url()

    def agent_sha256(self) -> str:
        """Return the digest of the agent that the service offers at ``/v1/agent``.

        :raises NotFound: the service offers no agent; the error states the reason.
        """
        # Unlike HEAD, the response to an error has a body.
        response = self._transport.send("GET", "/v1/agent", headers={"If-None-Match": "*"})
        digest: str | None = response.headers.get("Factstore-Agent-Sha256")
        if digest is None:
            raise UnexpectedAnswer(
                "The response has no header Factstore-Agent-Sha256: the service is older than this "
                "client, or a proxy removes the header.",
                status=response.status_code,
            )
        return digest

    def limits(self, *, project_id: str | None = None, stack: str | None = None) -> dict[str, Any]:
        """Return ``limits`` and ``usage`` of the project, each a mapping of names to numbers.

        :param project_id: the id of another project, for administrators.
        :param stack: also return which history of this stack the service has in memory.
        """
        params = query_params(project_id=project_id, stack=stack)
        return parsed(self._transport.send("GET", "/v1/limits", params=params), dict)

    def subscription(self, identifier: str) -> Subscription:
        """Return a subscription by its id.  No request is sent, and it need not exist."""
        return Subscription(identifier, self._transport)

    def subscriptions(
        self, *, project_id: str | None = None, limit: int = 100
    ) -> Iterator[SubscriptionRecord]:
        """Iterate over the subscriptions of the project, in the order of their ids.

        :param project_id: the id of another project, for administrators.
        :param limit: the number of subscriptions in one request.
        :raises Gone: reading took too long and the revision is no longer kept; start again.
        """
        return subscription.list_all(self._transport, project_id, limit)

    def subscribe(self, target: str, **definition: Any) -> SubscriptionRecord:
        """Register a listener, and return the subscription with its secret.

        :param target: such as ``https://receiver.example.com/events``.
        :param definition: ``name``, ``stacks``, ``types``, ``prefixes``, ``groups``, ``alarms``,
            ``max_events`` and ``max_delay``; see
            :class:`~factstore.client.subscription.SubscriptionRecord`.
        :raises Forbidden: the project's quota is exhausted.
        """
        return subscription.create(self._transport, {"target": target, **definition})

    def stack(self, name: str, *, cause: str | None = None) -> Stack:
        """Return a stack by its name.  No request is sent, and the stack need not exist.

        :param cause: the cursor on which the caller acts; see :meth:`Stack.acting_on`.
        """
        found = Stack(name, self._transport)
        return found if cause is None else found.acting_on(cause)

    def stacks(self, *, project_id: str | None = None, limit: int = 100) -> Iterator[StackRecord]:
        """Iterate over all stacks of the project, in the order of their names.

        :param project_id: the id of another project, for administrators.
        :param limit: the number of stacks in one request.
        :raises Gone: reading took too long and the revision is no longer kept; start again.
        """
        params: dict[str, str] | None = {"limit": str(limit)}
        if project_id is not None:
            params = {"project_id": project_id, **(params or {})}
        while params is not None:
            response = self._transport.send("GET", "/v1/stacks", params=params)
            records, params = parsed(response, _stacks)
            yield from records

    def watch(
        self,
        stacks: Iterable[str] = (),
        since: str | None = None,
        *,
        prefixes: Iterable[str] = (),
        groups: Iterable[str] = (),
        alarms: Iterable[str] = (),
        types: Iterable[str] = (),
        initial: bool = False,
        bookmarks: bool = False,
        settle: float = 0,
        max_settle: float | None = None,
        project_id: str | None = None,
        all_projects: bool = False,
        retry_for: float | None = None,
    ) -> StacksWatch:
        """Return a watch of many stacks, with one connection.

        :param stacks: the names of the stacks; ``*`` stands for any characters, and ``?`` for one.
            Without names, all stacks.  Stacks that are created later are included.
        :param since: the cursor to resume from.  Without *since* and *initial*, the watch begins with
            the time of this call, even if iteration begins later.
        :param prefixes: only facts at or below one of these paths, and without *types* only members of
            *groups*.
        :param groups: only members of one of these groups.
        :param alarms: only alarms of one of these names.
        :param types: only changes of these types; a snapshot contains only what these types concern.
        :param initial: without *since*, begin with a snapshot of all stacks.
        :param bookmarks: also return bookmarks, which move the cursor without an event.
        :param settle: seconds, 0 to 5, for which the stacks must be quiet before events are delivered.
        :param max_settle: the longest time to wait for that, in seconds; None for ten times *settle*.
        :param project_id: the id of another project, for administrators.
        :param all_projects: the stacks of all projects, for administrators.
        :param retry_for: seconds without the service after which iteration raises Unavailable; None to
            retry forever.
        :raises Forbidden: the credential is a grant, which is valid for one stack.
        """
        names = {
            "stacks": stacks,
            "prefix": prefixes,
            "group": groups,
            "alarm": alarms,
            "types": types,
        }
        params = query_params(
            project_id=project_id,
            all_projects="true" if all_projects else None,
            **{name: ",".join(given) for name, given in names.items()},
            **settle_params(settle, max_settle),
        )
        if since is None and not initial:
            now = {name: text for name, text in params.items() if "settle" not in name}
            headers = {"Accept": "application/json"}
            response = self._transport.send("GET", "/v1/events", params=now, headers=headers)
            since = parsed(response, lambda found: str(found["next"]))
        return StacksWatch(
            self._transport, "/v1/events", params, since, bookmarks=bookmarks, retry_for=retry_for
        )


def _stacks(page: dict[str, Any]) -> tuple[tuple[StackRecord, ...], dict[str, str] | None]:
    return tuple(StackRecord.parse(stack) for stack in page["stacks"]), next_params(page)
