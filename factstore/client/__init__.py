"""The Python client: typed calls for the whole API, and a watch that survives lost connections.

Callers never have to build URLs, check statuses or parse streams.  The client retries only requests
that are safe to repeat, and its watch neither skips nor repeats an event.  It uses only the public API
and does not depend on the service's implementation.

::

    from factstore.client import connect

    slurm = connect().stack("slurm")              # OS_* from the environment
    slurm.put("nodes/c1/ip", "10.0.0.11")
    head = slurm.wait("nodes/head/ip", timeout=600).value
    me = slurm.member("c1")
    me.join("compute")
    for item in slurm.watch(initial=True):
        ...
"""

from factstore.client.batch import Delete, Guard, Put
from factstore.client.client import Client
from factstore.client.connect import connect
from factstore.client.errors import FactstoreError
from factstore.client.events import Bookmark, Change, Event, Snapshot
from factstore.client.grant import Grant, GrantRecord
from factstore.client.member import Member, MemberRecord
from factstore.client.mirror import Mirror
from factstore.client.records import (
    BatchResult,
    Context,
    Convergence,
    Fact,
    Outcome,
    Page,
    StackRecord,
)
from factstore.client.stack import Stack
from factstore.client.turn import Turn, TurnRecord
from factstore.client.waiter import Waiter, WaiterRecord
from factstore.client.watch import Watch

__all__ = [
    "BatchResult",
    "Bookmark",
    "Change",
    "Client",
    "Context",
    "Convergence",
    "Delete",
    "Event",
    "Fact",
    "FactstoreError",
    "Grant",
    "GrantRecord",
    "Guard",
    "Member",
    "MemberRecord",
    "Mirror",
    "Outcome",
    "Page",
    "Put",
    "Snapshot",
    "Stack",
    "StackRecord",
    "Turn",
    "TurnRecord",
    "Waiter",
    "WaiterRecord",
    "Watch",
    "connect",
]
