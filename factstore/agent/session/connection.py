"""The connection to the service, with the credential and through the network of this machine."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from factstore.agent.config.settings import Settings
from factstore.agent.errors import Misconfigured, TokenError
from factstore.agent.session.credential import choose_credential
from factstore.agent.session.enrolment import Enrolment, GrantEndpoint
from factstore.agent.system.state_dir import StateDir
from factstore.client import Client, MissingVariables, Stack, UnusableSettings, connect
from factstore.client.http.failures import NotSent
from factstore.client.http.proxies import Proxies
from factstore.client.http.session import HttpSession
from factstore.client.http.trust import Certificates

LOG = logging.getLogger(__name__)

REQUEST_TIMEOUTS = (3.0, 30.0)
"""The shortest and the longest time-out of a request, in seconds."""


@dataclass(frozen=True)
class Connection:
    """A stack, and the credential with which this agent reaches it.

    :param enrolment: the grant in use, which replaces a group's grant by the member's own; None if the
        credential is not a grant.
    :param local_address: returns the address of this machine on the newest connection to the service.
    """

    stack: Stack
    enrolment: Enrolment | None = None
    local_address: Callable[[], str | None] = lambda: None


def open_connection(settings: Settings, environ: Mapping[str, str]) -> Connection:
    """Return a connection to the configured stack, without sending a request.

    :raises Misconfigured: the service's URL is missing, or the credential, the CAs or the proxy cannot
        be used.
    """
    credential = choose_credential(settings, environ)
    if credential.ignored:
        LOG.warning(
            "the credential is complete without these, which are ignored: %s",
            ", ".join(credential.ignored),
        )
    agent = settings.agent
    shortest, longest = REQUEST_TIMEOUTS
    options: dict[str, Any] = {
        "retry_for": 0.0,  # the scheduler retries, and runs other tasks meanwhile
        # A request without an answer must not take longer than until the next heartbeat.
        "answer_within": min(max(agent.ttl / 3, shortest), longest),
        "client_name": "factstore-agent",
    }
    try:
        http = _http_session(settings, credential.variables, environ)
        if credential.grant is None:
            client = connect(credential.variables, http=http, **options)
            return Connection(client.stack(agent.stack), None, lambda: http.local_address)
        configured = GrantEndpoint(credential.url, credential.grant)
        endpoint = GrantEndpoint(credential.url, credential.grant)
        state = StateDir(agent.state_dir, (agent.stack, agent.member))
        stack = Client(configured, http=http, **options).stack(agent.stack)
        enrolment = Enrolment(endpoint, stack, agent.member, state)
        enrolled = Client(endpoint, http=http, **options).stack(agent.stack)
        return Connection(enrolled, enrolment, lambda: http.local_address)
    except MissingVariables as error:
        if settings.keystone:
            missing = ", ".join(error.options)
            raise Misconfigured(f"The credential in [keystone] lacks {missing}.") from error
        raise Misconfigured(f"The service cannot be used: {error}") from error
    except (NotSent, UnusableSettings, TokenError) as error:
        raise Misconfigured(f"The service cannot be used: {error}") from error


def _http_session(
    settings: Settings, variables: Mapping[str, str], environ: Mapping[str, str]
) -> HttpSession:
    service = settings.service
    machine = {name: value for name, value in environ.items() if not name.startswith("OS_")}
    if environ.get("OS_CACERT"):
        machine["OS_CACERT"] = environ["OS_CACERT"]
    http = HttpSession.from_environ(
        {**machine, **variables},
        certificates=(
            None if service.cacert is None else Certificates(str(service.cacert), "cacert")
        ),
        proxies=Proxies.from_option(service.proxy, "[service] proxy") if service.proxy else None,
    )
    if service.cacert is not None or service.url.startswith("https:"):
        http.trust.context()
    return http
