"""The meaning of failed calls.  The client decides about retries."""

from __future__ import annotations

from typing import Any

import grpc

from factstore.core.errors import OutcomeUnknown, StorageFull, TooLarge, Unavailable
from factstore.store.types import Compacted, LeaseExists, LeaseExpired

_UNANSWERED = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.INTERNAL,
)
_FAULTS = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.OUT_OF_RANGE,
)
"""With one of them, etcd refuses a request that this service should not have made."""

_REASONS = {
    "invalid user ID or password": "username and password in [etcd] are not those of a user",
    "permission denied": "the user has no permission for these keys: its role needs readwrite with "
    "--prefix for [etcd] root and a slash. The user is [etcd] username; without it, the common name in "
    "cert_file",
    "authentication is not enabled": "etcd has no users: enable its authentication, or remove username "
    "and password from [etcd]",
    "user name is empty": "it requires a user: set username and password in [etcd]",
}


class Refused(Unavailable):
    """etcd refuses the user of the service, or everything.

    :param reason: the cause and the remedy, for operators only.
    """

    def __init__(self, detail: str, reason: str = "") -> None:
        super().__init__(detail)
        self.reason = reason


def raise_known_error(error: Any) -> None:
    """Raise the error that etcd reported; return if it did not answer, so that a retry is possible."""
    code, details = error.code(), error.details() or ""
    if code == grpc.StatusCode.OUT_OF_RANGE and "compacted" in details:
        raise Compacted from error
    if code == grpc.StatusCode.NOT_FOUND and "lease" in details:
        raise LeaseExpired from error
    if code == grpc.StatusCode.FAILED_PRECONDITION and "lease already exists" in details:
        raise LeaseExists from error
    if code == grpc.StatusCode.RESOURCE_EXHAUSTED and "space" in details:
        raise StorageFull(
            "The store is full, and accepts only deletions. Delete what is not needed; an operator "
            "must then compact and defragment etcd, and disarm its alarm."
        )
    if code == grpc.StatusCode.INVALID_ARGUMENT and "too large" in details:
        raise TooLarge("The write is larger than etcd accepts.", code="batch_too_large")
    refused = code in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED)
    # The details contain "authentication failed" or "authentication is not enabled"; or, if etcd
    # requires a user and the call has none, "user name is empty".
    if refused or "authentication" in details or "user name is empty" in details:
        reason = next((text for words, text in _REASONS.items() if words in details), details)
        raise Refused("etcd refuses the service's credentials.", reason) from error
    if code in _FAULTS:
        raise error
    if code not in _UNANSWERED:  # such as DATA_LOSS, while the alarm CORRUPT is raised
        raise Refused("etcd refuses all requests.", describe(error)) from error


def not_sent() -> Unavailable:
    """Return the error of a call whose time ended while it waited in this process for others."""
    return Unavailable(
        "The time of the request ended while it waited in the service, and nothing was sent to etcd. "
        "Send the request again."
    )


def unconfirmed() -> OutcomeUnknown:
    """Return the error of a write that etcd has not answered in time."""
    return OutcomeUnknown(
        "The store did not confirm the write in time, and may have made it. Read to find out, or send "
        "the same request again with an Idempotency-Key."
    )


def was_never_sent(error: Any) -> bool:
    """Return True if the request cannot have reached an endpoint."""
    unavailable = error.code() == grpc.StatusCode.UNAVAILABLE
    return unavailable and "failed to connect" in (error.details() or "")


def is_stale_token(error: Any) -> bool:
    """Return True if the call may succeed with a new token.

    A token that etcd signs (``--auth-token jwt``) is out of date after each change of a user or a role.
    """
    details = error.details() or ""
    return "invalid auth token" in details or "revision of auth store is old" in details


def describe(error: Any) -> str:
    """Return the error as text for a log."""
    return f"{error.code().name.lower()}: {error.details()}"
