"""One worker's machinery: store, watch and upkeep, started and stopped together."""

from __future__ import annotations

import sys
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oslo_config import cfg

from factstore.core.errors import Unavailable
from factstore.core.model.quota import Quotas
from factstore.core.operations.encryption import Encryption
from factstore.core.operations.transactor import Transactor
from factstore.core.ports import Clock, WakeUp
from factstore.core.services.context import ContextService
from factstore.core.services.convergence import ConvergenceService
from factstore.core.services.facts import FactService
from factstore.core.services.grants import GrantService
from factstore.core.services.members import MemberService
from factstore.core.services.rate_limit import Allowances, RateLimiter
from factstore.core.services.stacks import StackService
from factstore.core.services.waiter_controller import WaiterController
from factstore.core.services.waiters import WaiterService
from factstore.core.services.watch import WatchService
from factstore.keys.keyring import RepositoryKeyring
from factstore.keys.repository import Repository
from factstore.store.client import EtcdClient
from factstore.store.etcd import EtcdBackend
from factstore.store.keyspace import Keyspace
from factstore.store.maintenance import Upkeep
from factstore.store.mirror import MirroredStore
from factstore.store.types import Credentials
from factstore.watch.hub import Hub
from factstore.watch.pump import Pump
from factstore.wsgi.middleware.metrics import Metrics
from factstore.wsgi.ops import limits

MIB = 1024 * 1024


def signal_factory() -> Callable[[], WakeUp]:
    """Events for greenlets where threads are greenlets; they cost a tenth there."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("threading"):
        from gevent.event import Event

        event: Callable[[], WakeUp] = Event
        return event
    return threading.Event


def counts(store: MirroredStore, hub: Hub, admission: RateLimiter) -> dict[str, int]:
    """What there is at this moment in this process, by the names of the metrics."""
    events, size = hub.depth
    found = {
        "streams": admission.open_in("streams"),
        "waiting_requests": admission.open_in("waiting_requests"),
        "hub_events": events,
        "hub_bytes": size,
        "ready": 0,
    }
    try:
        state = store.state()
    except Unavailable:
        return found
    total = state.total()
    members, waiters_pending = state.taking_part()
    held = {
        "stacks": total.stacks,
        "facts": total.facts,
        "bytes": total.bytes,
        "members": members,
        "waiters_pending": waiters_pending,
    }
    return {**found, **held, "revision": state.revision, "ready": 1}


@dataclass(slots=True)
class Node:
    """Everything behind the API in one process.  Make it after forking."""

    clock: Clock
    backend: EtcdBackend
    store: MirroredStore
    hub: Hub
    pump: Pump
    upkeep: Upkeep
    referee: WaiterController
    sealing: Encryption
    facts: FactService
    stacks: StackService
    members: MemberService
    waiters: WaiterService
    grants: GrantService
    convergences: ConvergenceService
    contexts: ContextService
    watching: WatchService
    quotas: Quotas
    allowances: Allowances
    admission: RateLimiter
    metrics: Metrics

    def start(self) -> None:
        """Start following etcd; requests are answered 503 until the state has been read."""
        self.store.start()
        self.pump.start()
        self.upkeep.start()
        self.referee.start()

    @property
    def ended(self) -> list[str]:
        """Which parts run no more, though they should; without them the process is of no use."""
        alive = {
            "pump": self.pump.alive,
            "readindex": self.store.alive,
            "grouping": self.backend.alive,
            "upkeep": self.upkeep.alive,
            "referee": self.referee.alive,
        }
        return [part for part, lives in alive.items() if not lives]

    @property
    def draining(self) -> bool:
        """Whether everybody is being sent away."""
        return self.hub.closing

    def drain(self) -> None:
        """Send streams and waiting requests away; they resume elsewhere."""
        self.hub.close()

    def counts(self) -> dict[str, int]:
        """See :func:`counts`."""
        return counts(self.store, self.hub, self.admission)

    def stop(self) -> None:
        """Stop everything and close the connections."""
        self.hub.close()
        self.referee.stop()
        self.upkeep.stop()
        self.pump.stop()
        self.store.stop()
        self.backend.close()


def connect(
    conf: cfg.ConfigOpts, observe: Callable[[str, float], None] = lambda call, seconds: None
) -> EtcdClient:
    """A client of the configured etcd; nothing is asked of it yet.

    :param observe: is told of every call.
    :raises OSError: a file of ``[etcd]`` cannot be read.
    """
    etcd: Any = conf.etcd
    credentials = Credentials(
        etcd.username, etcd.password, etcd.ca_file, etcd.cert_file, etcd.key_file
    )
    return EtcdClient(etcd.endpoints, credentials, observe)


def build(conf: cfg.ConfigOpts, clock: Clock) -> Node:
    """Put one worker's machinery together; nothing runs yet."""
    etcd: Any = conf.etcd
    new_signal = signal_factory()
    quotas, allowances = limits.read(conf)
    admission = RateLimiter(allowances, clock)
    metrics = Metrics()
    backend = EtcdBackend(
        connect(conf, metrics.called_etcd),
        Keyspace(etcd.root),
        clock,
        window=conf.watch.history_events,
        timeout=etcd.timeout,
        new_signal=new_signal,
    )
    store = MirroredStore(backend, clock, new_signal, metrics.lagged, busy=lambda: referee.notice())
    referee = WaiterController(store, clock, etcd.timeout, new_signal)
    hub = Hub(conf.watch.history_events, conf.watch.history_mib * MIB, new_signal)
    carrier = Transactor(store, clock, quotas)
    stacks = StackService(store, clock, lambda: uuid.uuid4().hex, etcd.timeout, quotas)
    keyring = RepositoryKeyring(Repository(Path(conf.sealing.key_repository)), clock)
    sealing = Encryption(keyring)
    return Node(
        clock=clock,
        backend=backend,
        store=store,
        hub=hub,
        pump=Pump(backend, store, hub),
        upkeep=Upkeep(
            store,
            backend,
            clock,
            window=etcd.compaction_window,
            reached=lambda: hub.revision,
            report=lambda: metrics.set(counts(store, hub, admission)),
        ),
        referee=referee,
        sealing=sealing,
        facts=FactService(store, hub, clock, stacks.new, etcd.timeout, carrier, sealing),
        stacks=stacks,
        members=MemberService(store, clock, stacks.new, etcd.timeout, carrier),
        waiters=WaiterService(store, hub, clock, stacks.new, etcd.timeout, carrier),
        grants=GrantService(store, clock, stacks.new, etcd.timeout, carrier),
        convergences=ConvergenceService(store, hub, clock, etcd.timeout),
        contexts=ContextService(store, hub, clock, etcd.timeout),
        watching=WatchService(store, hub, clock, etcd.timeout),
        quotas=quotas,
        allowances=allowances,
        admission=admission,
        metrics=metrics,
    )
