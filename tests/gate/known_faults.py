"""Faults of etcd itself that are known, so that a broken promise is not blamed on the service too soon.

A fault can explain a violation if the version of etcd has it and its cause happened in the run.  That
proves nothing: the run fails all the same, and the report names the fault beside the violation.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from tests.faults.checker import Violation

PAUSES = frozenset({"leader_paused", "follower_paused"})
COMPACTIONS = frozenset({"compacted_often", "compacted_past_a_watcher", "store_full"})


class KnownFault(NamedTuple):
    """A fault of some versions of etcd.

    :param first: the first version with the fault.
    :param fixed: the first version of the same series without it.
    :param kinds: the kinds of violations that it can cause.
    :param causes: faults of a run, one of which is necessary; empty if none is.
    """

    text: str
    first: tuple[int, int, int]
    fixed: tuple[int, int, int]
    kinds: frozenset[str]
    causes: frozenset[str] = frozenset()

    def explains(
        self, violation: Violation, version: tuple[int, ...], faults: Collection[str]
    ) -> bool:
        """Return True if a violation can be due to this fault."""
        return (
            self.first <= version < self.fixed
            and violation.kind in self.kinds
            and (not self.causes or not self.causes.isdisjoint(faults))
        )


KNOWN = (
    KnownFault(
        "an event of a watch is sent twice", (3, 4, 0), (3, 4, 24), frozenset({"duplicate"})
    ),
    KnownFault(
        "a watch goes back in time when its member has applied a snapshot of the leader",
        (3, 4, 0),
        (3, 4, 25),
        frozenset({"duplicate", "reordered", "resume"}),
        frozenset({"follower_replaced", "follower_partitioned", "follower_killed"}),
    ),
    KnownFault(
        "a notice of progress overtakes events", (3, 4, 0), (3, 4, 25), frozenset({"bookmark"})
    ),
    KnownFault(
        "a slow watch skips events that are compacted meanwhile",
        (3, 4, 0),
        (3, 4, 31),
        frozenset({"missing"}),
        COMPACTIONS,
    ),
    KnownFault(
        "a former leader revokes leases that were renewed",
        (3, 4, 0),
        (3, 4, 31),
        frozenset({"early"}),
        PAUSES,
    ),
    KnownFault(
        "the revision goes down after a crash during a compaction",
        (3, 4, 0),
        (3, 4, 32),
        frozenset({"lost", "reordered", "stale", "order"}),
        COMPACTIONS,
    ),
    KnownFault(
        "a deletion at the revision of a compaction is lost",
        (3, 4, 0),
        (3, 4, 36),
        frozenset({"missing"}),
        COMPACTIONS,
    ),
    KnownFault(
        "a lease that was revoked is renewed with success",
        (3, 4, 0),
        (3, 4, 38),
        frozenset({"early"}),
    ),
    KnownFault(
        "a member that was paused answers a linearizable read with old data (etcd's 20418)",
        (3, 4, 20),
        (3, 4, 42),
        frozenset({"stale", "illegal", "order"}),
        PAUSES,
    ),
    KnownFault(
        "members have different data after a crash",
        (3, 5, 0),
        (3, 5, 3),
        frozenset({"lost", "stale", "illegal", "missing"}),
    ),
)


def explanations(violation: Violation, version: str, faults: Collection[str]) -> list[str]:
    """Return the known faults of a version of etcd, such as ``3.4.23``, that can cause a violation."""
    numbers = tuple(int(part) for part in version.partition("-")[0].split("."))
    return [known.text for known in KNOWN if known.explains(violation, numbers, faults)]
