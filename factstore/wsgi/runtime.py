"""Everything behind the API in one worker: store, watch and services, started and stopped together."""

from __future__ import annotations

import random
import sys
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oslo_config import cfg

from factstore.core.errors import FactstoreError
from factstore.core.model.address_rules import AddressRules
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.quota import UNLIMITED
from factstore.core.model.target_rules import TargetRules
from factstore.core.operations.encryption import Encryption
from factstore.core.ports import Clock
from factstore.core.services.composition import Services, build_services
from factstore.keys.keyring import RepositoryKeyring
from factstore.keys.repository import Repository
from factstore.store.client import ACCEPTS_CONNECTIONS, EtcdClient, UnusableFile
from factstore.store.client import diagnose as diagnose_endpoint
from factstore.store.etcd import EtcdBackend
from factstore.store.idle_leases import IdleLeases
from factstore.store.keyspace import Keyspace
from factstore.store.maintenance import Maintenance
from factstore.store.mirror import FILL_SECONDS, MirroredStore
from factstore.store.types import Credentials
from factstore.store.write_buffer import WriteBuffer
from factstore.watch.history import HistoryLimits
from factstore.watch.history_fill import HistoryFill
from factstore.watch.hub import Hub
from factstore.watch.pump import Pump
from factstore.wsgi.connection_limits import ConnectionLimits
from factstore.wsgi.middleware.metrics import Metrics
from factstore.wsgi.ops import limits
from factstore.wsgi.ops.gauges import gauges
from factstore.wsgi.ops.memory import FreeMemory, return_large_blocks
from factstore.wsgi.scheduler import Scheduler, ThreadScheduler

if TYPE_CHECKING:
    from factstore.wsgi.fast_path.fast_path import FastPath

MIB = 1024 * 1024


def new_scheduler(clock: Clock) -> Scheduler:
    """Return the scheduler of greenlets if gevent has patched threading."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("threading"):
        from factstore.wsgi.server.greenlet_scheduler import GreenletScheduler

        return GreenletScheduler(clock)
    return ThreadScheduler()


@quick_dataclass(slots=True)
class Runtime:
    """One worker's store, watch and services.  It must be created after forking."""

    clock: Clock
    backend: EtcdBackend
    store: MirroredStore
    hub: Hub
    pump: Pump
    maintenance: Maintenance
    encryption: Encryption
    services: Services
    scheduler: Scheduler
    metrics: Metrics
    connection_limits: ConnectionLimits
    free_memory: FreeMemory = field(default_factory=FreeMemory)
    connection_gauges: Callable[[], Mapping[str, int]] = dict
    fast_path: FastPath | None = None

    def start(self) -> None:
        """Start following etcd; until the store has been read, requests are answered with 503."""
        self.store.start()
        self.pump.start()
        self.maintenance.start()
        self.services.waiter_controller.start()
        self.services.lease_monitor.start()
        self.services.applied_reports.start()
        self.services.wait_monitor.start()

    def catch_up(self, seconds: float) -> bool:
        """Wait until the state is current; return False if the store has not been read in time.

        The time is longer if etcd answers, and has much to send.
        """
        if not self.pump.wait_ready(seconds) and not (
            self.backend.reading and self.pump.wait_ready(FILL_SECONDS)
        ):
            return False
        with suppress(FactstoreError):  # requests wait, too
            self.store.refresh(self.clock.monotonic() + FILL_SECONDS)
        return True

    @property
    def ended_threads(self) -> list[str]:
        """Background threads that have ended; the process has to be restarted if there are any."""
        alive = {
            "pump": self.pump.alive,
            "read_index": self.store.alive,
            "commit_batcher": self.backend.alive,
            "maintenance": self.maintenance.alive,
            "waiter_controller": self.services.waiter_controller.alive,
            "lease_monitor": self.services.lease_monitor.alive,
            "applied_reports": self.services.applied_reports.alive,
            "wait_monitor": self.services.wait_monitor.alive,
        }
        return [name for name, is_alive in alive.items() if not is_alive]

    @property
    def draining(self) -> bool:
        """True if streams and waiting requests are being ended."""
        return self.hub.closing

    def drain(self) -> None:
        """End streams and waiting requests; clients resume them at another worker."""
        self.hub.close()

    def gauges(self) -> dict[str, int]:
        """See :func:`gauges`; with those of the server's connections, if it provides them."""
        own = gauges(self.store, self.hub, self.services.rate_limiter, self.scheduler)
        return {**own, **self.connection_gauges()}

    def report(self) -> None:
        """Give free memory back, and let other workers read this worker's gauges and tallies."""
        self.free_memory.give_back()
        self.metrics.set_gauges(self.gauges())
        self.metrics.publish()

    def stop(self) -> None:
        """Stop everything and close the connections."""
        self.hub.close()
        self.services.wait_monitor.stop()
        self.services.applied_reports.stop()
        self.services.waiter_controller.stop()
        self.services.lease_monitor.stop()
        self.maintenance.stop()
        self.pump.stop()
        self.store.stop()
        self.backend.close()
        self.metrics.publish()


def connect(
    conf: cfg.ConfigOpts,
    observe: Callable[[str, float], None] = lambda call, seconds: None,
    *,
    spread: bool = False,
) -> EtcdClient:
    """Return a client of the configured etcd, which has not made any call yet.

    :param observe: receives the name and the duration of every call.
    :param spread: True to begin with any endpoint, if the configuration permits it.
    :raises OSError: a file that ``[etcd]`` names cannot be read.
    :raises oslo_config.cfg.Error: an option is not valid.
    """
    if not conf.etcd.endpoints:
        raise cfg.ConfigFileValueError("[etcd] endpoints is empty")
    endpoints = list(conf.etcd.endpoints)
    if spread and conf.etcd.spread:
        first = random.randrange(len(endpoints))  # noqa: S311 - spread, not secrecy
        endpoints = endpoints[first:] + endpoints[:first]
    try:
        return EtcdClient(endpoints, _credentials(conf), observe, fast_calls=conf.etcd.fast_calls)
    except UnusableFile as error:
        raise cfg.ConfigFileValueError(f"[etcd] {error}") from error


def diagnose(conf: cfg.ConfigOpts) -> dict[str, str]:
    """Return why the endpoints of etcd cannot be used, by URL; empty if all accept connections."""
    endpoints, credentials = conf.etcd.endpoints, _credentials(conf)
    with ThreadPoolExecutor(len(endpoints)) as pool:
        found = list(pool.map(lambda url: diagnose_endpoint(url, credentials, 2.0), endpoints))
    if all(reason == ACCEPTS_CONNECTIONS for reason in found):
        return {}
    return dict(zip(endpoints, found, strict=True))


def _credentials(conf: cfg.ConfigOpts) -> Credentials:
    etcd: Any = conf.etcd
    if bool(etcd.cert_file) != bool(etcd.key_file):  # gRPC would end the process
        raise cfg.ConfigFileValueError(
            "[etcd] cert_file and key_file must be set together; both may name the same file"
        )
    return Credentials(etcd.username, etcd.password, etcd.ca_file, etcd.cert_file, etcd.key_file)


def target_rules(conf: cfg.ConfigOpts) -> TargetRules:
    """Return the targets that subscriptions may have."""
    try:
        addresses = AddressRules(conf.notify.allow_cidrs)
    except ValueError as error:
        raise cfg.ConfigFileValueError(f"[notify] allow_cidrs: {error}") from error
    return TargetRules(conf.notify.allow_http, addresses)


def build(
    conf: cfg.ConfigOpts,
    clock: Clock,
    *,
    blocking: int = UNLIMITED,
    history_later: bool = False,
) -> Runtime:
    """Return one worker's runtime, not yet started.

    :param blocking: the number of requests and streams that may wait at the same time.
    :param history_later: True to read the history before the start when the worker is ready, for
        readers who wait for it; otherwise it is read before the state is current.
    """
    return_large_blocks()
    etcd: Any = conf.etcd
    scheduler = new_scheduler(clock)
    new_wake_up = scheduler.new_wake_up
    quotas, allowances = limits.read(conf)
    metrics = Metrics()
    client = connect(conf, metrics.observe_etcd_call, spread=True)
    keys = Keyspace(etcd.root)
    backend = EtcdBackend(
        client,
        keys,
        clock,
        window=conf.watch.history_events,
        timeout=etcd.timeout,
        new_wake_up=new_wake_up,
        on_purge=lambda: runtime.maintenance.wake(),
        shared=lambda: scheduler.shared,
    )
    store = MirroredStore(
        backend,
        clock,
        new_wake_up,
        metrics.observe_lag,
        on_needs_write=lambda: services.waiter_controller.wake(),
    )
    watch: Any = conf.watch
    history = HistoryLimits(watch.history_events, watch.history_mib * MIB, watch.history_seconds)
    hub = Hub(history, scheduler.new_change_wake_up, clock.monotonic, scheduler.may_wait)
    encryption = Encryption(RepositoryKeyring(Repository(Path(conf.sealing.key_repository)), clock))
    services = build_services(
        store,
        hub,
        clock,
        new_id=lambda: uuid.uuid4().hex,
        new_wake_up=new_wake_up,
        timeout=etcd.timeout,
        quotas=quotas,
        allowances=allowances,
        blocking=blocking,
        encryption=encryption,
        target_rules=target_rules(conf),
        stuck_seconds=watch.stuck_seconds,
        flapping_times=watch.flapping_times,
        on_write_retry=metrics.count_write_retry,
    )
    runtime = Runtime(
        clock=clock,
        backend=backend,
        store=store,
        hub=hub,
        pump=Pump(backend, store, hub, HistoryFill(backend, hub, clock) if history_later else None),
        maintenance=Maintenance(
            store,
            backend,
            clock,
            window=etcd.compaction_window,
            published=lambda: hub.cursor,
            report=lambda: runtime.report(),
            revoke_idle=IdleLeases(client, keys, clock, store.state).revoke,
            release_buffer=WriteBuffer(client, lambda: hub.cursor.revision).release,
        ),
        encryption=encryption,
        services=services,
        scheduler=scheduler,
        metrics=metrics,
        connection_limits=ConnectionLimits(
            conf.api.idle_seconds,
            conf.api.read_seconds,
            conf.api.idle_write_seconds,
            conf.api.body_mib * MIB,
        ),
    )
    return runtime
