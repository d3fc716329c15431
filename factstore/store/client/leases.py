"""The renewal of leases, and their list, which etcd's library does not provide.

etcd receives renewals on streams, with any number on one stream.  This module sends one renewal as a
unary call, which on the wire is the same as a stream with one request.  Endpoints, deadlines and errors
are then handled as for every other call, and no thread is necessary.  In the loop, the renewals of one
turn are sent as such calls with up to :data:`RENEWALS` requests, because etcd needs ten times as long
for a call as for a request in it.

One stream for all renewals would be slower: etcd answers a stream in order, and answers for an expired
lease only once it has revoked it.  If many leases expire together, late renewals of these would delay
the renewals of others for seconds.  In a call of a few, each of which is repeated alone if they take
too long, they delay few.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from factstore.store.client import messages as rpc

KEEP_ALIVE = "/etcdserverpb.Lease/LeaseKeepAlive"
RENEWALS = 16  # in one call
REVOKE = "/etcdserverpb.Lease/LeaseRevoke"
TIME_TO_LIVE = "/etcdserverpb.Lease/LeaseTimeToLive"
_LEASES = "/etcdserverpb.Lease/LeaseLeases"


def keep_alive(channel: Any) -> Callable[..., Any]:
    """Return the call that renews a lease; the TTL in its answer is 0 if the lease has expired."""
    call: Callable[..., Any] = channel.unary_unary(
        KEEP_ALIVE,
        request_serializer=rpc.LeaseKeepAliveRequest.SerializeToString,
        response_deserializer=rpc.LeaseKeepAliveResponse.FromString,
    )
    return call


def renewal(lease: int) -> bytes:
    """Return the request to renew a lease."""
    request: bytes = rpc.LeaseKeepAliveRequest(ID=lease).SerializeToString()
    return request


def renewed(response: bytes) -> bool:
    """Return False if a response states that the lease has expired."""
    return int(rpc.LeaseKeepAliveResponse.FromString(response).TTL) > 0


def revocation(lease: int) -> bytes:
    """Return the request to revoke a lease."""
    request: bytes = rpc.LeaseRevokeRequest(ID=lease).SerializeToString()
    return request


def question_of_age(lease: int) -> bytes:
    """Return the request for the age of a lease."""
    request: bytes = rpc.LeaseTimeToLiveRequest(ID=lease).SerializeToString()
    return request


def time_to_live(response: bytes) -> Any:
    """Return the answer to the question for the age of a lease."""
    return rpc.LeaseTimeToLiveResponse.FromString(response)


def seconds_since_renewal(answer: Any) -> float:
    """Return the seconds since a lease was renewed; infinity if it does not exist."""
    return float(answer.grantedTTL - answer.TTL) if answer.TTL > 0 else math.inf


def has_expired(answer: Any) -> bool:
    """Return True if a lease exists although its time has been over for a second.

    The remaining time is rounded towards zero, so that zero can also be the last second.  A lease that
    does not exist was granted no time.
    """
    return bool(answer.grantedTTL > 0 and answer.TTL < 0)


def list_leases(channel: Any) -> Callable[..., Any]:
    """Return the call that lists all leases; :func:`lease_ids` reads its answer."""
    call: Callable[..., Any] = channel.unary_unary(
        _LEASES,
        request_serializer=lambda request: b"",  # the request has no fields
        # On the wire, the ids of leases are where another answer has the ids of members.
        response_deserializer=rpc.MemberListResponse.FromString,
    )
    return call


def lease_ids(answer: Any) -> list[int]:
    """Return the ids of the leases in a list."""
    return [int(lease.ID) for lease in answer.members]
