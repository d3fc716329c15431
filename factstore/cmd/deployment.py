"""The installation that a command works on: its configuration, and its etcd.

What can go wrong is told in one line, without a secret.  It needs the packages of
``factstore[server]``, so commands import it only when they run.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from oslo_config import cfg

from factstore.cmd.errors import CommandError
from factstore.core.errors import FactstoreError
from factstore.core.ports import Clock
from factstore.store.client import EtcdClient
from factstore.store.fsck.reader import StoreReader
from factstore.store.fsck.repair import StoreRepair
from factstore.store.keyspace import Keyspace
from factstore.wsgi import configuration, runtime
from factstore.wsgi.clock import SystemClock
from factstore.wsgi.runtime import Runtime

READ_SECONDS = 300.0  # for the state of the whole installation
LOOK_SECONDS = 1.0  # between looks whether etcd answers meanwhile


@dataclass(frozen=True, slots=True)
class Installation:
    """What the configuration names."""

    conf: cfg.ConfigOpts
    client: EtcdClient
    keys: Keyspace
    clock: Clock
    reader: StoreReader
    repair: StoreRepair


@contextmanager
def opened(files: Sequence[str] | None, *, failed: int = 1) -> Iterator[Installation]:
    """The installation that *files* describe, or the usual ones; its connections end afterwards.

    What the service's own errors say becomes a CommandError.

    :param failed: the exit status then.
    :raises CommandError: the configuration or etcd cannot be read.
    """
    # Without a handler Python prints warnings by itself; what matters reaches the operator as an error.
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        conf = configuration.read(files)
        endpoints, root, timeout = conf.etcd.endpoints, conf.etcd.root, conf.etcd.timeout
        client = runtime.connect(conf)
    except cfg.ConfigFileParseError as error:  # its text shows lines of the file
        raise CommandError(
            f"the configuration cannot be read: {error.config_file} has a line that is no option",
            failed,
        ) from None
    except (cfg.Error, OSError) as error:
        raise CommandError(f"the configuration cannot be used: {error}", failed) from None
    keys, clock = Keyspace(root), SystemClock()
    try:
        reader = StoreReader(client, keys, clock, timeout)
        repair = StoreRepair(client, keys, reader)
        yield Installation(conf, client, keys, clock, reader, repair)
    except cfg.Error as error:  # of options that only some commands read
        raise CommandError(f"the configuration cannot be used: {error}", failed) from None
    except FactstoreError as error:
        members = ", ".join(endpoint.rpartition("@")[2] for endpoint in endpoints)
        raise CommandError(f"{error.detail.rstrip('.')} (etcd at {members})", failed) from error
    finally:
        client.close()


@contextmanager
def running(installation: Installation) -> Iterator[Runtime]:
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
        while not worker.pump.wait_ready(LOOK_SECONDS):
            installation.client.get(
                installation.keys.epoch, deadline=installation.reader.deadline()
            )
            if installation.clock.monotonic() >= until:
                raise CommandError("the store could not be read in time")
        yield worker
    finally:
        worker.stop()
