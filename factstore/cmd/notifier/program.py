"""Composes a notifier from the configuration, and runs it until a signal.

gevent has to have patched the standard library before this module is imported.
"""

from __future__ import annotations

import gc
import logging
import signal
import socket
import ssl
import sys
import time
import uuid
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import gevent
from gevent.event import Event
from gevent.pywsgi import WSGIServer
from oslo_config import cfg
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from factstore.api.serializers.events import event_texts
from factstore.cmd.errors import CommandError
from factstore.cmd.notifier import cloud
from factstore.cmd.notifier.metrics import NotifyMetrics
from factstore.cmd.notifier.resolver import LoopResolver
from factstore.core.errors import FactstoreError
from factstore.core.model.address_rules import AddressRules
from factstore.notify.host_slots import HostSlots
from factstore.notify.notifier import Notifier
from factstore.notify.notifier_lease import NotifierLease
from factstore.notify.parts import Parts
from factstore.notify.shared_texts import SharedTexts
from factstore.notify.targets.base import Surroundings
from factstore.notify.web_client import WebClient, parse_proxy
from factstore.wsgi import configuration, runtime
from factstore.wsgi.clock import SystemClock
from factstore.wsgi.ops import logs
from factstore.wsgi.runtime import Runtime
from factstore.wsgi.unknown_options import unknown_options

LOG = logging.getLogger(__name__)

READ_SECONDS = 2.0  # for the healthcheck
WAIT_SECONDS = 1.0


class _Greenlets:
    """Greenlets, and their events."""

    def spawn(self, run: Callable[[], None]) -> object:
        return gevent.spawn(run)

    def new_signal(self) -> Any:
        return Event()


def run(files: list[str] | None) -> None:
    """Deliver until SIGTERM or SIGINT.

    :raises CommandError: the configuration cannot be used.
    """

    def register(conf: cfg.ConfigOpts) -> None:
        logs.register(conf)
        cloud.register(conf)

    try:
        conf = configuration.read(files, register)
        logs.set_up(conf)
        if unknown := unknown_options(conf):
            LOG.warning("The configuration: %s", " ".join(unknown))
        worker = runtime.build(conf, SystemClock())
        notifier, metrics = _compose(conf, worker)
    except (cfg.Error, OSError, ValueError) as error:
        raise CommandError(f"the configuration {configuration.describe(error)}") from None
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, stop.set)
    server = _serve(conf, worker, notifier, metrics)
    worker.store.start()
    worker.pump.start()
    try:
        while not worker.pump.wait_ready(WAIT_SECONDS) and not stop.is_set():
            LOG.info("the store has not been read yet")
        # The state in memory is permanent; each collection would walk all of it.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 100)
        notifier.start()
        stop.wait()
    finally:
        notifier.stop()
        worker.hub.close()
        worker.pump.stop()
        worker.store.stop()
        worker.backend.close()
        if server is not None:
            server.stop()


def _compose(conf: cfg.ConfigOpts, worker: Runtime) -> tuple[Notifier, NotifyMetrics]:
    options: Any = conf.notify
    concurrency, metrics, wake = _Greenlets(), NotifyMetrics(), Event()
    keystone = conf.auth_strategy == "keystone"
    surroundings = Surroundings(
        WebClient(
            LoopResolver(),
            AddressRules(options.allow_cidrs).refusal,
            ssl.create_default_context(cafile=options.ca_file),
            parse_proxy(options.proxy) if options.proxy else None,
        ),
        cloud.KeystoneCloud(conf) if keystone else cloud.NoKeystone(conf),
        HostSlots(options.connections_per_host),
        time.time,
        options.allow_http,
    )
    lease = NotifierLease(
        worker.store, worker.clock, conf.etcd.timeout, concurrency, lambda: notifier.lost()
    )
    parts = Parts(
        name=uuid.uuid4().hex,
        store=worker.store,
        events=worker.hub,
        listen=worker.hub.listen,
        transactor=worker.services.transactor,
        encryption=worker.encryption,
        clock=worker.clock,
        concurrency=concurrency,
        surroundings=surroundings,
        render=SharedTexts(partial(event_texts, names_stacks=True)),
        observer=metrics,
        lease=lease,
        suspend_after=options.suspend_after,
        changed=wake.set,
    )
    notifier = Notifier(parts, socket.gethostname(), wake)
    return notifier, metrics


def _serve(
    conf: cfg.ConfigOpts, worker: Runtime, notifier: Notifier, metrics: NotifyMetrics
) -> WSGIServer | None:
    """Serve the metrics and the healthcheck."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path, status, content_type = environ["PATH_INFO"], "200 OK", "text/plain"
        if path == "/metrics":
            body, content_type = metrics.exposition(notifier.status), CONTENT_TYPE_LATEST
        elif path == "/healthcheck":
            try:
                worker.store.refresh(worker.clock.monotonic() + READ_SECONDS)
                body = b"OK\n"
            except FactstoreError as error:
                status, body = "503 Service Unavailable", f"{error.detail}\n".encode()
        else:
            status, body = "404 Not Found", b"not found\n"
        start_response(status, [("Content-Type", content_type), ("Content-Length", str(len(body)))])
        return [body]

    if not conf.notify.port:
        return None
    server = WSGIServer((conf.notify.host, conf.notify.port), application, log=None)
    try:
        server.start()
    except OSError as error:
        raise CommandError(f"port {conf.notify.port} cannot be used: {error.strerror}") from None
    sys.stdout.flush()
    return server
