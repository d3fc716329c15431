"""The renewal of leases.

etcd takes renewals on streams, and any number on one.  Here each is a stream of its own with one
request, which on the wire is what a plain call is; so it is made as one.  Whom it asks, until when,
and what an error means are then the same as for every other call, and no thread belongs to it.

Not one stream for all: etcd answers a stream in order, and for a lease that is over only once it has
revoked it.  When many end together, late renewals of theirs would hold up those of the living for
seconds.  Nor would it be cheaper: gRPC's streams need threads, and a call needs none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import etcd3.etcdrpc as rpc

_KEEP_ALIVE = "/etcdserverpb.Lease/LeaseKeepAlive"


def keep_alive(channel: Any) -> Callable[..., Any]:
    """Renewing one lease, as a call with one answer; its TTL is 0 when the lease has ended."""
    call: Callable[..., Any] = channel.unary_unary(
        _KEEP_ALIVE,
        request_serializer=rpc.LeaseKeepAliveRequest.SerializeToString,
        response_deserializer=rpc.LeaseKeepAliveResponse.FromString,
    )
    return call
