"""Leases of which etcd is asked side by side, and what its answers mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from factstore.core.model.pulse import monitored, pulse_lease
from factstore.store.client import EtcdClient, Failure
from factstore.store.client import messages as rpc
from factstore.store.client.leases import revocation
from factstore.store.etcd_leases import EtcdLeases
from factstore.store.keyspace import Keyspace
from tests.unit.core.factories import ManualClock

GRANTED = 6


def answer(remaining: int, granted: int = GRANTED) -> Any:
    return rpc.LeaseTimeToLiveResponse(TTL=remaining, grantedTTL=granted)


class Client:
    """A client whose loop has prepared answers to each call; gRPC notes for what it is needed."""

    def __init__(self) -> None:
        self.loop = self
        self.prepared: dict[str, list[bytes | Failure]] = {}
        self.requests: dict[str, list[bytes]] = {}
        self.late: Any = None
        self.asked: list[int] = []
        self.revoked: list[int] = []

    def call_all(self, call: str, method: str, requests: Sequence[bytes]) -> list[bytes | Failure]:
        self.requests[call] = list(requests)
        return self.prepared.get(call, [b""] * len(requests))

    def time_to_live(self, lease: int, *, deadline: float) -> Any:
        self.asked.append(lease)
        return self.late

    def revoke(self, lease: int, *, deadline: float) -> None:
        self.revoked.append(lease)


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def leases(client: Client) -> EtcdLeases:
    return EtcdLeases(cast("EtcdClient", client), Keyspace("/root"), ManualClock())


def test_a_lease_that_does_not_exist_is_not_revoked_again_but_one_without_an_answer_is(
    client: Client, leases: EtcdLeases
) -> None:
    client.prepared["lease_revoke"] = [b"", Failure.NO_LEASE, Failure.LOST, Failure.REFUSED]
    leases.revoke_leases([1, 2, 3, 4], 1.0)
    assert client.requests["lease_revoke"] == [revocation(lease) for lease in (1, 2, 3, 4)]
    assert client.revoked == [3, 4]


def test_only_pulses_whose_time_is_certainly_over_are_revoked(
    client: Client, leases: EtcdLeases
) -> None:
    answers = {
        "alive": answer(3),
        "in its last second, or over": answer(0),
        "over": answer(-1),
        "revoked": answer(-1, 0),
        "over, as gRPC finds out": None,
    }
    found = [monitored(number << 8) for number in range(1, len(answers) + 1)]
    client.prepared["lease_time_to_live"] = [
        Failure.LOST if each is None else each.SerializeToString() for each in answers.values()
    ]
    client.late = answer(-2)
    assert leases.revoke_expired(found, 1.0) == 2
    assert client.asked == [pulse_lease(found[-1])]
    assert client.requests["lease_revoke"] == [
        revocation(pulse_lease(found[at])) for at in (2, len(found) - 1)
    ]
