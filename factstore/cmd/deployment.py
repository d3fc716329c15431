"""The installation that a command works on: its configuration and its etcd.

Errors are reported in one line without secrets.  The module needs the packages of
``openstack-factstore[server]``, so commands import it only when they run.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from oslo_config import cfg

from factstore.cmd.errors import CommandError
from factstore.core.errors import FactstoreError, Unavailable
from factstore.core.ports import Clock
from factstore.store.client import EtcdClient, Refused
from factstore.store.fsck.reader import StoreReader
from factstore.store.fsck.repair import StoreRepair
from factstore.store.keyspace import Keyspace
from factstore.wsgi import configuration, runtime
from factstore.wsgi.clock import SystemClock
from factstore.wsgi.runtime import Runtime

READ_SECONDS = 300.0  # for reading the whole store
PROBE_SECONDS = 1.0  # between probes of etcd meanwhile


@dataclass(frozen=True, slots=True)
class Installation:
    """An installation, and the parts that commands need."""

    conf: cfg.ConfigOpts
    client: EtcdClient
    keys: Keyspace
    clock: Clock
    reader: StoreReader
    repair: StoreRepair

    @property
    def is_configured(self) -> bool:
        """Return False if no configuration file was found, so that all options have their defaults."""
        return bool(configuration.files_read(self.conf))


@contextmanager
def connect(files: Sequence[str] | None, *, failed: int = 1) -> Iterator[Installation]:
    """Yield the installation that the configuration files describe, and close its connections.

    :param files: None for the files in the usual places.
    :param failed: the exit status of errors.
    :raises CommandError: the configuration or etcd cannot be read, or an error of the service.
    """
    # Without a handler, Python prints warnings itself. Errors reach the operator as exceptions.
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        conf = configuration.read(files)
        print(f"configuration: {_sources(conf)}", file=sys.stderr)
        root, timeout = conf.etcd.root, conf.etcd.timeout
        client = runtime.connect(conf)
    except configuration.ERRORS as error:
        raise CommandError(f"the configuration {configuration.describe(error)}", failed) from None
    keys, clock = Keyspace(root), SystemClock()
    try:
        reader = StoreReader(client, keys, clock, timeout)
        repair = StoreRepair(client, keys, reader)
        yield Installation(conf, client, keys, clock, reader, repair)
    except cfg.Error as error:  # of an option that only some commands read
        raise CommandError(f"the configuration cannot be used: {error}", failed) from None
    except FactstoreError as error:
        raise CommandError(_explain(error, conf), failed) from error
    finally:
        client.close()


def _sources(conf: cfg.ConfigOpts) -> str:
    found = configuration.files_read(conf)
    return ", ".join(found) or f"no file was found, and {configuration.FILES_VARIABLE} is not set"


def _explain(error: FactstoreError, conf: cfg.ConfigOpts) -> str:
    """Return the text of an error with the reason why each endpoint of etcd cannot be used."""
    text = error.detail.rstrip(".")
    reasons = runtime.diagnose(conf) if isinstance(error, Unavailable) else {}
    if reasons:
        return f"{text}: {'; '.join(f'{url}: {reason}' for url, reason in reasons.items())}"
    if isinstance(error, Refused):
        text = f"{text}: {error.reason}"
    return f"{text} (etcd at {', '.join(conf.etcd.endpoints)})"


@contextmanager
def run(installation: Installation) -> Iterator[Runtime]:
    """Yield the runtime of an additional worker once it has read the store.

    :raises CommandError: the store could not be read in time.
    :raises FactstoreError: etcd does not answer.
    """
    installation.conf.set_override("history_events", 1, "watch")  # no stream resumes here
    worker = runtime.build(installation.conf, installation.clock)
    try:
        worker.store.start()
        worker.pump.start()
        until = installation.clock.monotonic() + READ_SECONDS
        while not worker.pump.wait_ready(PROBE_SECONDS):
            installation.client.get(
                installation.keys.epoch, deadline=installation.reader.deadline()
            )
            if installation.clock.monotonic() >= until:
                raise CommandError("the store could not be read in time")
        yield worker
    finally:
        worker.stop()
