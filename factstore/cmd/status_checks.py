"""The checks of ``factstore-status upgrade check``; each returns a result and changes nothing."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from keystoneauth1 import exceptions, loading
from keystoneauth1.session import Session
from oslo_config import cfg
from oslo_upgradecheck.upgradecheck import Code, Result

from factstore.client.counts import counted
from factstore.cmd.sealed_records import read_sealed_records
from factstore.conf import opts
from factstore.core.errors import FactstoreError, SealBroken
from factstore.core.operations.encryption import Encryption
from factstore.core.operations.subscription_secrets import of_subscription
from factstore.keys.keyring import RepositoryKeyring
from factstore.keys.repository import STAGED, Repository, RepositoryError
from factstore.store.client import EtcdClient, Refused
from factstore.store.fsck.reader import StoreReader
from factstore.store.keyspace import Keyspace
from factstore.wsgi import configuration, runtime
from factstore.wsgi.clock import SystemClock
from factstore.wsgi.ops import logs
from factstore.wsgi.unknown_options import options_in, unknown_options

CALL_SECONDS = 10.0
UNCOMPACTED = 100_000  # revisions without a compaction after which one is missing

OLDEST = (3, 4, 0)
LOSING = (
    (3, 5, 0),
    (3, 5, 3),
)  # from the first, before the second: members can become inconsistent
RECOMMENDED = ((3, 5, 33), (3, 6, 14), (3, 7, 1))

_ALARM = (
    "etcd has raised the alarm {}, and refuses requests because of it. If the alarm is NOSPACE, make "
    "room and disarm it, see admin/full-store; otherwise repair the member of etcdctl alarm list."
)
_UNKNOWN_KINDS = ("unknown_key", "unreadable")


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options that the checks read."""
    opts.register(conf)
    logs.register(conf)


def guarded(check: Callable[[cfg.ConfigOpts], Result], conf: cfg.ConfigOpts) -> Result:
    """Return the result of a check, and a failure if it could not be carried out."""
    try:
        return check(conf)
    except Refused as error:
        return _failure(f"{error.detail[:-1]}: {error.reason}.")
    except FactstoreError as error:
        reasons = "; ".join(f"{url}: {reason}" for url, reason in runtime.diagnose(conf).items())
        return _failure(f"{error.detail} {reasons}".strip())
    except configuration.ERRORS as error:
        return _failure(f"The configuration {configuration.describe(error)}")


def check_options(conf: cfg.ConfigOpts) -> Result:
    """Find options in the files that this version does not have, or will not have for long.

    :raises oslo_config.cfg.ConfigFileValueError: a value is not valid.
    """
    configuration.check_values(conf)
    problems, given = unknown_options(conf), options_in(conf)
    for group, options in opts.list_opts():
        name = group.name if group else "DEFAULT"
        for option in options:
            if option.deprecated_for_removal and option.dest in given.get(name, ()):
                problems.append(f"[{name}] {option.name} is deprecated and will be removed.")
    if not configuration.files_read(conf):
        problems.append("No configuration was found, so all options have their defaults.")
    return _result(Code.WARNING, problems)


def check_etcd(conf: cfg.ConfigOpts) -> Result:
    """Check that etcd answers and has no alarm, and the version of each member."""
    failures, warnings = [], []
    with _etcd(conf) as (client, keys):
        client.get(keys.epoch, deadline=_deadline())
        failures += [_ALARM.format(each) for each in client.alarms(deadline=_deadline())]
        for url, version in client.versions(deadline=_deadline()).items():
            number = tuple(int(part) for part in version.partition("-")[0].split(".") if part)
            if not version:
                warnings.append(f"{url} does not answer; other endpoints do.")
            elif number < OLDEST:
                failures.append(f"{url} has etcd {version}. Version 3.4 is the oldest that works.")
            elif LOSING[0] <= number < LOSING[1]:
                failures.append(
                    f"{url} has etcd {version}, whose members can become inconsistent. Upgrade it."
                )
            elif number < max(each for each in RECOMMENDED if each[:2] <= max(number[:2], (3, 5))):
                warnings.append(
                    f"{url} has etcd {version}. 3.5.33, 3.6.14 or newer have fixes that it lacks."
                )
    return _result(Code.FAILURE if failures else Code.WARNING, [*failures, *warnings])


def check_history(conf: cfg.ConfigOpts) -> Result:
    """Check that etcd is compacted, and by this service alone if it is to do so."""
    with _etcd(conf) as (client, keys):
        epoch = client.get(keys.epoch, deadline=_deadline())
        if not epoch.items:
            return Result(Code.SUCCESS, "The store is empty.")
        compacted = client.compacted_revision(keys.epoch)
        turn = client.get(keys.compactor, deadline=_deadline()).items
    noted = int(turn[0].value) if turn and turn[0].value.isdigit() else 0
    window = conf.etcd.compaction_window
    if window and noted and compacted > noted:
        return _warning(
            f"[etcd] compaction_window is {window}, but something else compacts etcd too, such as "
            "--auto-compaction-retention of etcd. Watchers then find less history than the option "
            "promises. Disable one of both."
        )
    if not window and epoch.revision - compacted > UNCOMPACTED:
        return _warning(
            f"[etcd] compaction_window is 0, and etcd has not been compacted for "
            f"{epoch.revision - compacted} revisions. It fills up. Set the option if this service may "
            "compact etcd, or --auto-compaction-retention of etcd."
        )
    return Result(Code.SUCCESS)


def check_sealing_keys(conf: cfg.ConfigOpts) -> Result:
    """Check that the sealing keys can be read, and unwrap the data key of each stack."""
    repository = Repository(Path(conf.sealing.key_repository))
    with _etcd(conf) as (client, keys):
        reader = StoreReader(client, keys, SystemClock(), conf.etcd.timeout)
        sealed, subscriptions = read_sealed_records(reader, keys)
    try:
        numbers = {key.number for key in repository.read_keys()}
    except RepositoryError as error:
        if sealed or subscriptions:
            return _failure(
                f"{error}. New keys do not open the sensitive facts of "
                f"{counted(len(sealed), 'stack')} and the secrets of "
                f"{counted(len(subscriptions), 'subscription')}: copy all keys from the other API "
                "hosts, or restore them."
            )
        return _warning(f"{error}. The service refuses sensitive facts.")
    encryption = Encryption(RepositoryKeyring(repository, SystemClock()))
    lost = []
    for stack, data_key in sealed:
        try:
            encryption.data_key(stack, data_key)
        except SealBroken:
            lost.append(f"{stack.project_id}/{stack.name}")
    if lost:
        return _failure(
            f"The keys in {repository.path} do not open the sensitive facts of "
            f"{counted(len(lost), 'stack')}, such as {lost[0]}. "
            "Copy all keys from the other API hosts, or restore them."
        )
    for project_id, found in subscriptions:
        try:
            encryption.rewrap_key(found.wrapped_key, *of_subscription(project_id, found.id))
        except SealBroken:
            lost.append(f"{project_id}/{found.id}")
    if lost:
        return _failure(
            f"The keys in {repository.path} do not open the secrets of "
            f"{counted(len(lost), 'subscription')}, such as {lost[0]}. "
            "Copy all keys from the other API hosts, or restore them."
        )
    if STAGED not in numbers:
        return _warning(f"{repository.path} has no staged key. Run factstore rotate-keys.")
    return Result(Code.SUCCESS)


def check_catalog(conf: cfg.ConfigOpts) -> Result:
    """Check that Keystone's catalog has the service, and that its public URL answers."""
    if conf.auth_strategy != "keystone":
        return Result(Code.SUCCESS, f"auth_strategy is {conf.auth_strategy}; Keystone is not used.")
    from factstore.wsgi.auth import keystone

    keystone.register(conf)
    loading.register_auth_conf_options(conf, "keystone_authtoken")
    options = conf.keystone_authtoken
    try:
        auth = loading.load_auth_from_conf_options(conf, "keystone_authtoken")
        verify = False if options.insecure else options.cafile or True
        session = Session(auth, verify=verify, timeout=CALL_SECONDS)
        found = {each: _endpoint(session, options, each) for each in ("public", "internal")}
    except exceptions.ClientException as error:
        return _failure(f"Keystone cannot be used as [keystone_authtoken] describes: {error}")
    missing = [interface for interface, url in found.items() if url is None]
    if "public" in missing:
        return _failure(
            f"The catalog has no public endpoint of type {options.service_type}. Create it, or correct "
            "[keystone_authtoken] service_type."
        )
    try:
        session.get(str(found["public"]), authenticated=False)
    except exceptions.ClientException as error:
        return _warning(f"The public endpoint {found['public']} does not answer: {error}")
    return _result(Code.WARNING, [f"The catalog has no {each} endpoint." for each in missing])


def _endpoint(session: Session, options: Any, interface: str) -> str | None:
    try:
        return session.get_endpoint(
            service_type=options.service_type,
            interface=interface,
            region_name=options.region_name,
        )
    except exceptions.EndpointNotFound:
        return None


def check_records(conf: cfg.ConfigOpts) -> Result:
    """Check that this version can read everything in the store."""
    with _etcd(conf) as (client, keys):
        report = StoreReader(client, keys, SystemClock(), conf.etcd.timeout).check()
    kinds = Counter(finding.kind for finding in report.findings)
    unknown = sum(kinds[kind] for kind in _UNKNOWN_KINDS)
    if unknown:
        return _failure(
            f"The store has {counted(unknown, 'key')} of another version, probably a newer one: do "
            "not start an older version on this store. factstore verify lists them."
        )
    kinds.pop("epoch_missing", None)  # the first worker writes it
    problems = [
        f"{counted(count, 'finding')} of the kind {kind}." for kind, count in sorted(kinds.items())
    ]
    return _result(Code.WARNING, [*problems, "Run factstore verify."] if problems else [])


def check_notifiers(conf: cfg.ConfigOpts) -> Result:
    """Check that a notifier runs if there are subscriptions."""
    with _etcd(conf) as (client, keys):
        projects, service = keys.all_unnamed
        found = client.get(*projects, deadline=_deadline(), keys_only=True).items
        running = client.get(*service, deadline=_deadline(), limit=1, keys_only=True).items
    subscriptions = sum(b"/subscriptions/" in each.key for each in found)
    if subscriptions and not running:
        return _warning(
            f"No factstore-notify runs, so {counted(subscriptions, 'subscription')} cannot be "
            "delivered. Start it on at least one host."
        )
    return Result(Code.SUCCESS)


CHECKS: tuple[tuple[str, Callable[[cfg.ConfigOpts], Result]], ...] = (
    ("Options", check_options),
    ("etcd", check_etcd),
    ("History", check_history),
    ("Sealing keys", check_sealing_keys),
    ("Catalog", check_catalog),
    ("Stored records", check_records),
    ("Notifiers", check_notifiers),
)
"""The checks by name, in the order in which they are printed."""


@contextmanager
def _etcd(conf: cfg.ConfigOpts) -> Iterator[tuple[EtcdClient, Keyspace]]:
    client = runtime.connect(conf)
    try:
        yield client, Keyspace(conf.etcd.root)
    finally:
        client.close()


def _deadline() -> float:
    return time.monotonic() + CALL_SECONDS


def _result(code: Code, problems: list[str]) -> Result:
    return Result(code, " ".join(problems)) if problems else Result(Code.SUCCESS)


def _warning(text: str) -> Result:
    return Result(Code.WARNING, text)


def _failure(text: str) -> Result:
    return Result(Code.FAILURE, text)
