"""Where the service is, and what to show there: from the configuration and the environment.

The environment wins: ``FACTSTORE_GRANT`` over the file with the grant, and each ``OS_*`` variable over
what the configuration says in its place.
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
from factstore.agent.errors import Unusable
from factstore.agent.session.enrolment import Enrolment, Shown
from factstore.agent.system.state_dir import StateDir
from factstore.client import Stack, connect

GRANT_VARIABLE = "FACTSTORE_GRANT"
ANSWER_SECONDS = (3.0, 30.0)  # the least and the most that an answer may take
_GRANT = re.compile(r"([A-Za-z0-9_-]{1,64})\.([!-~]{1,256})")


@dataclass(frozen=True, slots=True)
class Connection:
    """A stack, as this agent reaches it.

    :param grant: the id of the grant that was given to be shown there; None if it is none.
    :param enrolment: what is shown instead of it if it is a group's; None without a grant.
    """

    stack: Stack
    grant: str | None
    enrolment: Enrolment | None = None


def open_connection(settings: Settings, environ: Mapping[str, str]) -> Connection:
    """The stack of the configuration; nothing is sent.

    :raises Unusable: it is not said where it is, or the credential cannot be used.
    """
    variables, grant = credential(settings, environ)
    agent = settings.agent
    least, most = ANSWER_SECONDS

    def stack(**more: Any) -> Stack:
        client = connect(
            variables,
            retry_for=0.0,  # the agent knows better what else to do meanwhile
            # What does not answer must not cost more than one heartbeat.
            answer_within=min(max(agent.ttl / 3, least), most),
            client_name="factstore-agent",
            **more,
        )
        return client.stack(agent.stack)

    try:
        given = stack()
        if grant is None or variables.get("OS_USERNAME") != grant:
            return Connection(given, grant)
        shown = Shown(variables.get("OS_ENDPOINT"), f"{grant}.{variables['OS_PASSWORD']}")
        state = StateDir(agent.state_dir, (agent.stack, agent.member))
        enrolment = Enrolment(shown, given, agent.member, state)
        return Connection(stack(auth=shown), grant, enrolment)
    except exceptions.ClientException as error:
        raise Unusable(f"the credential cannot be used: {error}") from error


def credential(settings: Settings, environ: Mapping[str, str]) -> tuple[dict[str, str], str | None]:
    """``OS_*`` variables for the client, and the id of the grant that is in them.

    :raises Unusable: the file with the grant is missing, holds none, or is open to others.
    """
    service = settings.service
    given = {name: value for name, value in environ.items() if name.startswith("OS_") and value}
    found: dict[str, str] = {}
    grant = environ.get(GRANT_VARIABLE) or (
        _from_file(service.grant_file) if service.grant_file is not None else None
    )
    if settings.keystone:
        found = {
            f"OS_{name.upper().replace('-', '_')}": it for name, it in settings.keystone.items()
        }
        if service.url:
            found["OS_CONTEXTUALIZATION_ENDPOINT_OVERRIDE"] = service.url
    elif service.url:
        found = {"OS_AUTH_TYPE": "none", "OS_ENDPOINT": service.url}
    if service.cacert is not None:
        found["OS_CACERT"] = str(service.cacert)
    name = None
    if grant is not None:
        fits = _GRANT.fullmatch(grant.strip())
        if fits is None:
            raise Unusable("what is given as a grant is none: it is <id>.<secret>, on one line.")
        name, secret = fits.groups()
        found |= {"OS_AUTH_TYPE": "http_basic", "OS_USERNAME": name, "OS_PASSWORD": secret}
    found |= given
    if not any(each in found for each in ("OS_AUTH_TYPE", "OS_AUTH_URL", "OS_TOKEN")):
        raise Unusable(
            "it is not said where the service is: give [service] url, [keystone], or OS_* variables."
        )
    return found, name


def _from_file(file: Path) -> str:
    try:
        about = os.stat(file)
        if stat.S_IMODE(about.st_mode) & 0o077:
            raise Unusable(f"{file} is open to others: chmod 600 {file}")
        return file.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not ASCII"
        raise Unusable(f"the grant in {file} cannot be read: {reason}") from error
