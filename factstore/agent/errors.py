"""What ends the agent, or a command of it; and what passes."""

from __future__ import annotations

from keystoneauth1.exceptions import ClientException

from factstore.client.errors import FactstoreError

DONE, FAILED, WRONG, REPLACED, LATER = 0, 1, 2, 3, 4
"""Exit statuses: done; failed; cannot work as configured; somebody else is this member; not now."""

TROUBLE = (FactstoreError, ClientException)
"""What a call to the service may raise, and what is tried again."""


class AgentError(Exception):
    """Something that the agent cannot go on with; its text is for people.

    :ivar status: what the program exits with.
    """

    status = FAILED


class Unusable(AgentError):
    """It cannot work as it is configured."""

    status = WRONG


class Superseded(AgentError):
    """A newer incarnation of this member lives."""

    status = REPLACED


class StackGone(AgentError):
    """The stack, of which this was a member, is not there any more."""

    status = LATER


def told(error: Exception) -> str:
    """What an error says, on one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    request_id = getattr(error, "request_id", None)
    return f"{text} ({request_id})" if request_id else text
