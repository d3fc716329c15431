"""The client's errors as Heat's errors, with messages for the users of stacks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from heat.common import exception
from keystoneauth1.exceptions import ClientException, EndpointNotFound, Unauthorized

from factstore.client import FactstoreError, errors


@contextmanager
def translated() -> Iterator[None]:
    """Raise the errors of the client and of keystoneauth as Heat's own.

    :raises heat.common.exception.Error: a request to factstore or Keystone failed.
    """
    try:
        yield
    except (FactstoreError, ClientException) as error:
        raise exception.Error(message(error)) from error


def message(error: FactstoreError | ClientException) -> str:
    """Return the message for an error, in words that need no knowledge of the client."""
    match error:
        case errors.Unavailable():
            text = f"factstore cannot be reached, and nothing was written: {error.detail}"
        case errors.OutcomeUnknown():
            text = f"factstore did not confirm the write, which may have succeeded: {error.detail}"
        case errors.UnexpectedAnswer():
            text = f"factstore failed: {error.detail}"
        case FactstoreError():
            text = f"factstore refused the request: {error.detail}"
        case EndpointNotFound():
            text = f"Keystone's catalog has no endpoint of factstore: {error}"
        case Unauthorized():
            text = f"Keystone rejected the stack's owner or its trust: {error}"
        case _:
            text = f"the request to factstore could not be sent: {error}"
    request = error.request_id if isinstance(error, FactstoreError) else None
    return f"{text} (request {request})" if request else text
