"""``factstore-status upgrade check`` on stores, keys and configurations with and without problems."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from oslo_upgradecheck.upgradecheck import Code

from factstore.cmd import status, status_checks
from factstore.cmd.processes.api import Options, write_options
from factstore.cmd.processes.etcd import EtcdServer
from factstore.cmd.processes.ports import free_port
from factstore.core.model.data_key import DATA_KEY
from factstore.core.model.delivery import Notifier
from factstore.core.model.unnamed import unnamed_stack
from factstore.core.operations.encryption import Encryption
from factstore.keys.keyring import RepositoryKeyring
from factstore.keys.repository import Repository
from factstore.keys.rotation import create
from factstore.store import codec
from factstore.store.client import EtcdClient
from factstore.store.keyspace import Keyspace
from factstore.store.types import Credentials, PutKey, Txn
from factstore.wsgi.clock import SystemClock
from tests.patient_client import PatientClient
from tests.unit.core.factories import stack
from tests.unit.core.records import subscription

Results = dict[str, tuple[Code, str]]


class Place:
    """A store with a stack and a sensitive fact, its keys, and a configuration."""

    def __init__(self, etcd: EtcdServer, folder: Path, read: Callable[[], str]) -> None:
        self.keys = Keyspace(f"/test/{uuid.uuid4().hex}")
        self.raw = PatientClient([etcd.endpoint], Credentials())
        self.config = folder / "factstore.conf"
        self.repository = Repository(folder / "sealing-keys")
        self._read = read
        self.options: dict[str, dict[str, Any]] = {
            "DEFAULT": {"auth_strategy": "none"},
            "etcd": {"endpoints": etcd.endpoint, "root": self.keys.root},
            "sealing": {"key_repository": str(self.repository.path)},
        }
        self.repository.path.mkdir(mode=0o700)
        create(self.repository)
        owner = stack(stack_id="0f" * 16)
        sealed = Encryption(RepositoryKeyring(self.repository, SystemClock())).new_data_key(owner)
        project = owner.project_id
        self.plant(self.keys.epoch, b"ab" * 16)
        self.plant(self.keys.stack(project, owner.name), codec.encode_stack(owner))
        self.plant(self.keys.record(project, owner.id, DATA_KEY), codec.encode_record(sealed))

    def plant(self, key: bytes, value: bytes) -> int:
        return self.raw.transact(Txn([], [PutKey(key, value)]), deadline=time.monotonic() + 60)[1]

    def check(self, options: Options | None = None) -> tuple[int, Results]:
        """Return the exit status, and the results by the names of the checks."""
        sections = dict(self.options)
        for name, values in (options or {}).items():
            sections[name] = {**sections.get(name, {}), **values}
        write_options(self.config, sections)
        found = status.main(["--config-file", str(self.config), "upgrade", "check", "--json"])
        checks = json.loads(self._read())["checks"]
        return found, {each["check"]: (each["result"], each["details"] or "") for each in checks}


def test_the_version_is_printed_without_a_configuration(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        status.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"{metadata.version('openstack-factstore')}\n"


@pytest.fixture
def place(etcd: EtcdServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Place]:
    made = Place(etcd, tmp_path, lambda: capsys.readouterr().out)
    yield made
    made.raw.close()


def test_nothing_is_wrong_but_perhaps_the_version_of_etcd(place: Place) -> None:
    code, results = place.check()
    assert code <= Code.WARNING
    assert list(results) == [name for name, _ in status_checks.CHECKS]
    assert {name for name, (result, _) in results.items() if result} <= {"etcd"}


def test_etcd_that_does_not_answer_is_a_failure_with_the_reason(place: Place) -> None:
    endpoint = f"http://127.0.0.1:{free_port()}"
    code, results = place.check({"etcd": {"endpoints": endpoint, "timeout": "0.5"}})
    assert code == Code.FAILURE
    assert results["etcd"][0] == Code.FAILURE
    assert f"{endpoint}: connection refused" in results["etcd"][1]


@pytest.mark.parametrize(
    ("version", "code"),
    [
        ("3.3.27", 2),
        ("3.5.1", 2),
        ("3.4.23", 1),
        ("3.5.33", 0),
        ("3.6.13", 1),
        ("3.7.1", 0),
        ("", 1),
    ],
)
def test_versions_of_etcd_are_judged(
    place: Place, monkeypatch: pytest.MonkeyPatch, version: str, code: int
) -> None:
    monkeypatch.setattr(EtcdClient, "versions", lambda self, deadline: {"http://e:1": version})
    assert place.check()[1]["etcd"][0] == code


@pytest.mark.parametrize(
    ("alarm", "remedy"), [("NOSPACE", "full-store"), ("CORRUPT", "alarm list")]
)
def test_an_alarm_of_etcd_is_a_failure_with_its_remedy(
    place: Place, monkeypatch: pytest.MonkeyPatch, alarm: str, remedy: str
) -> None:
    monkeypatch.setattr(EtcdClient, "alarms", lambda self, deadline: [alarm])
    code, details = place.check()[1]["etcd"]
    assert code == Code.FAILURE
    assert f"the alarm {alarm}" in details
    assert remedy in details


def test_options_that_have_no_effect_are_named(place: Place) -> None:
    _, results = place.check(
        {"api": {"wrokers": 4}, "limit": {"facts": 1}, "limits:p": {"facts": 1, "fcats": 1}}
    )
    code, details = results["Options"]
    assert code == Code.WARNING
    assert "[api] wrokers is unknown" in details
    assert "[limits:p] fcats is unknown" in details
    assert "[limit] is unknown: its options have no effect. Did you mean [limits]?" in details
    assert "facts is" not in details
    code, details = place.check({"api": {"workers": "many"}})[1]["Options"]
    assert code == Code.FAILURE
    assert "[api] workers: " in details


def test_lost_and_missing_keys_are_failures_only_where_they_are_needed(place: Place) -> None:
    for file in place.repository.path.iterdir():
        file.unlink()
    create(place.repository)
    code, details = place.check()[1]["Sealing keys"]
    assert code == Code.FAILURE
    assert "do not open the sensitive facts of 1 stack," in details
    place.repository.file(0).unlink()
    place.repository.file(1).unlink()
    code, details = place.check()[1]["Sealing keys"]
    assert (code, "facts of 1 stack and the secrets of 0 subscriptions" in details) == (
        Code.FAILURE,
        True,
    )
    empty = {"etcd": {"root": f"{place.keys.root}/empty"}}
    code, details = place.check(empty)[1]["Sealing keys"]
    assert code == Code.WARNING
    assert "refuses sensitive facts" in details


def test_records_of_a_newer_version_are_a_failure(place: Place) -> None:
    place.plant(f"{place.keys.root}/later/x".encode(), b"{}")
    code, details = place.check()[1]["Stored records"]
    assert code == Code.FAILURE
    assert "The store has 1 key of another version" in details


def test_another_compactor_and_none_are_warnings(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision = place.plant(place.keys.compactor, b"1")
    owner = {"etcd": {"compaction_window": 600}}
    monkeypatch.setattr(EtcdClient, "compacted_revision", lambda self, existing: revision)
    code, details = place.check(owner)[1]["History"]
    assert (code, "something else compacts etcd too" in details) == (Code.WARNING, True)
    monkeypatch.setattr(status_checks, "UNCOMPACTED", -1)
    code, details = place.check()[1]["History"]
    assert (code, "It fills up" in details) == (Code.WARNING, True)


def test_subscriptions_without_a_notifier_are_reported(place: Place) -> None:
    found = subscription()
    key = place.keys.record("p", unnamed_stack("p").id, found.record_key)
    place.plant(key, codec.encode_record(found))
    code, details = place.check()[1]["Notifiers"]
    assert code == Code.WARNING
    assert "1 subscription cannot be delivered" in details
    notifier = Notifier("n1", "host", "t")
    key = place.keys.record("", unnamed_stack("").id, notifier.record_key)
    place.plant(key, codec.encode_record(notifier))
    assert place.check()[1]["Notifiers"][0] == Code.SUCCESS
