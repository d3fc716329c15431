"""What a failed call means.  Whom to ask next, or whether to ask again, is decided elsewhere."""

from __future__ import annotations

import logging
from typing import Any

import grpc

from factstore.core.errors import StorageFull, TooLarge, Unavailable
from factstore.store.types import Compacted, LeaseGone

LOG = logging.getLogger(__name__)

_SILENCE = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.INTERNAL,
)


def raise_refusal(error: Any) -> None:
    """Raise what etcd said; return if it said nothing, so that another member may be asked."""
    code, told = error.code(), error.details() or ""
    if code == grpc.StatusCode.OUT_OF_RANGE and "compacted" in told:
        raise Compacted from error
    if code == grpc.StatusCode.NOT_FOUND and "lease" in told:
        raise LeaseGone from error
    if code == grpc.StatusCode.RESOURCE_EXHAUSTED and "space" in told:
        raise StorageFull("the store is full; an operator must make room.")
    if code == grpc.StatusCode.INVALID_ARGUMENT and "too large" in told:
        raise TooLarge("the write is larger than etcd accepts.", code="batch_too_large")
    refused = code in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED)
    # "failed", "is not enabled"; and an etcd with users says this to one who gives no name.
    if refused or "authentication" in told or "user name is empty" in told:
        LOG.error("etcd refuses our credentials: %s", told)
        raise Unavailable("etcd refuses the service's credentials.") from error
    if code not in _SILENCE:
        raise error


def was_never_sent(error: Any) -> bool:
    """Whether it is certain that no member has seen the request."""
    unavailable = error.code() == grpc.StatusCode.UNAVAILABLE
    return unavailable and "failed to connect" in (error.details() or "")


def is_stale_token(error: Any) -> bool:
    """Whether another token may be all that is missing."""
    return "invalid auth token" in (error.details() or "")


def words(error: Any) -> str:
    """The error for a log."""
    return f"{error.code().name.lower()}: {error.details()}"
