"""The calls of the etcd client that concern leases."""

from __future__ import annotations

import logging
from typing import Any

from factstore.store.client import messages as rpc
from factstore.store.client.calls import Calls
from factstore.store.client.leases import lease_ids, seconds_since_renewal
from factstore.store.types import LeaseExpired

LOG = logging.getLogger(__name__)


class LeaseCalls(Calls):
    """Calls that concern leases."""

    def grant(self, ttl: int, lease: int = 0, *, deadline: float) -> int:
        """Create a lease and return its id; a retry may leave a lease that expires unused.

        :param lease: the id; 0 to let etcd choose one.
        :raises LeaseExists: the id is in use, maybe because an attempt succeeded without an answer.
        """
        return int(self._grant(ttl, lease, deadline).ID)

    def grant_in_term(self, ttl: int, lease: int, *, deadline: float) -> int:
        """Create a lease with an id, and return the term of etcd at that time.

        :raises LeaseExists: as :meth:`grant`.
        """
        return int(self._grant(ttl, lease, deadline).header.raft_term)

    def _grant(self, ttl: int, lease: int, deadline: float) -> Any:
        request = rpc.LeaseGrantRequest(TTL=ttl, ID=lease)
        return self._call("lease_grant", request, deadline, reads=True, short=True)

    def term(self, key: bytes, *, deadline: float) -> int:
        """Return the term of etcd, with a linearizable read of a key."""
        request = rpc.RangeRequest(key=key, keys_only=True)
        return int(self._call("range", request, deadline, reads=True, short=True).header.raft_term)

    def seconds_since_renewal(self, lease: int, *, deadline: float) -> float:
        """Return the seconds since a lease was renewed; infinity if it does not exist."""
        return seconds_since_renewal(self.time_to_live(lease, deadline=deadline))

    def time_to_live(self, lease: int, *, deadline: float) -> Any:
        """Return what etcd answers about the time of a lease."""
        request = rpc.LeaseTimeToLiveRequest(ID=lease)
        return self._call("lease_time_to_live", request, deadline, reads=True, short=True)

    def leases(self, *, deadline: float) -> list[int]:
        """Return the ids of all leases, which may be those of other clients."""
        answer = self._call("lease_leases", None, deadline, reads=True)
        return lease_ids(answer)

    def is_idle(self, lease: int, *, deadline: float) -> bool:
        """Return True if a lease exists, and no key is attached to it."""
        request = rpc.LeaseTimeToLiveRequest(ID=lease, keys=True)
        answer = self._call("lease_time_to_live", request, deadline, reads=True, short=True)
        return answer.TTL > 0 and not answer.keys

    def renew(self, lease: int, *, deadline: float) -> bool:
        """Renew a lease once; return False if it has expired."""
        request = rpc.LeaseKeepAliveRequest(ID=lease)
        answer = self._call("lease_keep_alive", request, deadline, reads=True, short=True)
        return int(answer.TTL) > 0

    def revoke(self, lease: int, *, deadline: float) -> None:
        """Revoke a lease, unless it has expired already."""
        request = rpc.LeaseRevokeRequest(ID=lease)
        try:
            self._call("lease_revoke", request, deadline, reads=True, short=True)
        except LeaseExpired:
            LOG.debug("lease %x has expired already", lease)
