"""The connection to the service: its URL and the credential.

Both come from the configuration and the environment.  The environment takes precedence:
``FACTSTORE_GRANT`` over the file with the grant, and each ``OS_*`` variable over the option with the
same meaning.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keystoneauth1 import exceptions

from factstore.agent.config.settings import Settings
from factstore.agent.errors import Misconfigured
from factstore.agent.session.enrolment import Enrolment, GrantAuth
from factstore.agent.system.state_dir import StateDir
from factstore.client import Stack, connect

GRANT_VARIABLE = "FACTSTORE_GRANT"
REQUEST_TIMEOUTS = (3.0, 30.0)
"""The shortest and the longest time-out of a request, in seconds."""
_GRANT = re.compile(r"([A-Za-z0-9_-]{1,64})\.([!-~]{1,256})")


@dataclass(frozen=True)
class Connection:
    """A stack, and the credential with which this agent reaches it.

    :param enrolment: the grant in use, which replaces a group's grant by the member's own; None if the
        credential is not a grant.
    """

    stack: Stack
    enrolment: Enrolment | None = None


def open_connection(settings: Settings, environ: Mapping[str, str]) -> Connection:
    """Return a connection to the configured stack, without sending a request.

    :raises Misconfigured: the service's URL is missing or the credential cannot be used.
    """
    variables, grant_id = load_credential(settings, environ)
    agent = settings.agent
    shortest, longest = REQUEST_TIMEOUTS

    def open_stack(**options: Any) -> Stack:
        client = connect(
            variables,
            retry_for=0.0,  # the scheduler retries, and runs other tasks meanwhile
            # A request without an answer must not take longer than until the next heartbeat.
            answer_within=min(max(agent.ttl / 3, shortest), longest),
            client_name="factstore-agent",
            **options,
        )
        return client.stack(agent.stack)

    try:
        stack = open_stack()
        if grant_id is None or variables.get("OS_USERNAME") != grant_id:
            return Connection(stack)
        auth = GrantAuth(variables.get("OS_ENDPOINT"), f"{grant_id}.{variables['OS_PASSWORD']}")
        state = StateDir(agent.state_dir, (agent.stack, agent.member))
        enrolment = Enrolment(auth, stack, agent.member, state)
        return Connection(open_stack(auth=auth), enrolment)
    except exceptions.ClientException as error:
        raise Misconfigured(f"The credential cannot be used: {error}") from error


def load_credential(
    settings: Settings, environ: Mapping[str, str]
) -> tuple[dict[str, str], str | None]:
    """Return ``OS_*`` variables for the client, and the id of the grant in them if there is one.

    :raises Misconfigured: the service's URL or the grant is missing, malformed or readable by others.
    """
    service = settings.service
    variables: dict[str, str] = {}
    token = environ.get(GRANT_VARIABLE) or (
        _read_grant_file(service.grant_file) if service.grant_file is not None else None
    )
    if settings.keystone:
        variables = {
            f"OS_{name.upper().replace('-', '_')}": value
            for name, value in settings.keystone.items()
        }
        if service.url:
            variables["OS_CONTEXTUALIZATION_ENDPOINT_OVERRIDE"] = service.url
    elif service.url:
        variables = {"OS_AUTH_TYPE": "none", "OS_ENDPOINT": service.url}
    if service.cacert is not None:
        variables["OS_CACERT"] = str(service.cacert)
    grant_id = None
    if token is not None:
        match = _GRANT.fullmatch(token.strip())
        if match is None:
            raise Misconfigured("The grant is malformed: it must be <id>.<secret>, on one line.")
        grant_id, secret = match.groups()
        variables |= {
            "OS_AUTH_TYPE": "http_basic",
            "OS_USERNAME": grant_id,
            "OS_PASSWORD": secret,
        }
    variables |= {
        name: value for name, value in environ.items() if name.startswith("OS_") and value
    }
    if not any(name in variables for name in ("OS_AUTH_TYPE", "OS_AUTH_URL", "OS_TOKEN")):
        raise Misconfigured(
            "The service's URL is not configured: set [service] url, [keystone] or OS_* variables."
        )
    return variables, grant_id


def _read_grant_file(file: Path) -> str:
    try:
        if stat.S_IMODE(os.stat(file).st_mode) & 0o077:
            raise Misconfigured(f"{file} is accessible to other users: run chmod 600 {file}")
        return file.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not ASCII"
        raise Misconfigured(f"The grant in {file} cannot be read: {reason}") from error
