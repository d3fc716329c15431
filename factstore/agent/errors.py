"""Errors that end the agent or one of its commands, errors that are retried, and exit statuses."""

from __future__ import annotations

import re
import sys

from factstore.client.errors import FactstoreError
from factstore.client.os_errors import described

try:
    from keystoneauth1.exceptions import ClientException
except ImportError:  # it is not needed for grants

    class ClientException(Exception):  # type: ignore[no-redef]
        """Never raised."""


TokenError = ClientException
"""An error of a request to Keystone."""

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_MISCONFIGURED = 2
EXIT_SUPERSEDED = 3
EXIT_UNAVAILABLE = 4
EXIT_TURN_LOST = 5


RETRYABLE = (FactstoreError, TokenError)
"""Errors of a call to the service, after which the call is repeated."""

NOT_A_MEMBER = frozenset(
    f"contextualization.{code}" for code in ("generation_stale", "member_missing", "not_found")
)
"""Codes of refusals because the member has expired or departed, or is another incarnation."""

# urllib3, which keystoneauth uses, puts the address of an object in front of its messages.
_OBJECT = re.compile(r"<?[\w.]+ object at 0x[0-9a-f]+>?(: )?")


class AgentError(Exception):
    """An error after which the agent cannot continue.  Its text is shown to people.

    :ivar status: the exit status of the program.
    """

    status = EXIT_FAILED


class Misconfigured(AgentError):
    """The configuration or the credential cannot be used."""

    status = EXIT_MISCONFIGURED


class NameUnknown(AgentError):
    """It is not known yet which member this agent is."""

    status = EXIT_UNAVAILABLE


class Superseded(AgentError):
    """Another agent has joined the stack under this member's name."""

    status = EXIT_SUPERSEDED


class StackDeleted(AgentError):
    """The stack of which this agent was a member no longer exists."""

    status = EXIT_UNAVAILABLE


def describe(error: Exception) -> str:
    """Return the text of an error on one line, with its file or request id if it has one."""
    if isinstance(error, OSError) and error.strerror:
        return described(error)
    text = " ".join(_OBJECT.sub("", str(error)).split()) or type(error).__name__
    request_id = getattr(error, "request_id", None)
    return f"{text} ({request_id})" if request_id else text


def print_error(text: str) -> None:
    """Print a line about a failed command on stderr."""
    print(f"factstore-agent: {text}", file=sys.stderr)
