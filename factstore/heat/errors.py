"""Failures of the service as Heat's users read them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from heat.common import exception
from keystoneauth1.exceptions import ClientException, EndpointNotFound, Unauthorized

from factstore.client import FactstoreError, errors


@contextmanager
def spoken() -> Iterator[None]:
    """Turn what goes wrong with factstore, or on the way there, into Heat's own errors.

    :raises heat.common.exception.Error: with a sentence that says what was wrong.
    """
    try:
        yield
    except (FactstoreError, ClientException) as error:
        raise exception.Error(sentence(error)) from error


def sentence(error: FactstoreError | ClientException) -> str:
    """What was wrong, in words that need no knowledge of the client."""
    match error:
        case errors.Unavailable():
            said = f"factstore cannot be reached, and nothing was written: {error.detail}"
        case errors.OutcomeUnknown():
            said = f"factstore did not say whether it was written: {error.detail}"
        case errors.UnexpectedAnswer():
            said = f"factstore failed: {error.detail}"
        case FactstoreError():
            said = f"factstore refused: {error.detail}"
        case EndpointNotFound():
            said = f"Keystone's catalogue does not say where factstore is: {error}"
        case Unauthorized():
            said = f"Keystone does not let the stack's owner, or its trust, in: {error}"
        case _:
            said = f"factstore was not asked: {error}"
    request = error.request_id if isinstance(error, FactstoreError) else None
    return f"{said} (request {request})" if request else said
