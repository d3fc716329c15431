"""``factstore verify`` beside a service that runs."""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from factstore.cmd.processes.api import write_options
from factstore.cmd.processes.etcd import EtcdServer
from factstore.cmd.processes.ports import free_port
from factstore.core.model.fact import Scope
from factstore.store import codec
from factstore.store.client import EtcdClient
from factstore.store.keyspace import Keyspace
from factstore.store.types import Credentials, DeleteKeys, PutKey, Txn
from factstore.wsgi.auth.none import NO_PROJECT
from tests.commands import config_of, factstore, one_line
from tests.corruptions import corruptions
from tests.eventually import eventually
from tests.http import Caller
from tests.patient_client import PatientClient
from tests.service import ApiServer, check_log
from tests.unit.core.factories import fact
from tests.unit.core.factories import stack as record_of


@dataclass
class Place:
    """A root of the test's own, a service on it, and etcd behind its back."""

    keys: Keyspace
    config: Path
    api: Caller
    raw: EtcdClient

    def plant(self, key: bytes, value: bytes) -> None:
        self.raw.transact(Txn([], [PutKey(key, value)]), deadline=time.monotonic() + 60)

    def left(self) -> list[bytes]:
        below = self.keys.everything
        found = self.raw.get(below.start, below.end, deadline=time.monotonic() + 60)
        return [item.key for item in found.items]

    def verify(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return factstore("verify", "--config-file", self.config, *arguments)

    def told(self, *arguments: str, status: int = 0) -> dict[str, Any]:
        result = self.verify("--json", *arguments)
        assert result.stderr == ""
        assert result.returncode == status, result.stdout
        document: dict[str, Any] = json.loads(result.stdout)
        return document


@pytest.fixture(scope="module")
def served(etcd: EtcdServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A root that these tests share, and a service on it."""
    folder, root = tmp_path_factory.mktemp("verify"), f"/test/{uuid.uuid4().hex}"
    raw = PatientClient([etcd.endpoint], Credentials())
    options = {"etcd": {"root": root, "timeout": "5"}}  # a check of idle leases takes as long
    with (
        ApiServer([etcd.endpoint], folder, options=options) as server,
        Caller(server.url) as api,
    ):
        yield Place(Keyspace(root), config_of(folder), api, raw)
        check_log(server)
    raw.close()


@pytest.fixture
def place(served: Place) -> Iterator[Place]:
    """The same, as it was before the first test."""
    before = served.left()
    yield served
    for stack in served.api.get("/v1/stacks").json()["stacks"]:
        served.api.delete(f"/v1/stacks/{stack['name']}").raise_for_status()
    for key in set(served.left()) - {*before, served.keys.sentinel, served.keys.compactor}:
        served.raw.transact(Txn([], [DeleteKeys(key)]), deadline=time.monotonic() + 60)
    # The purge did not see the keys deleted here, so it did not revoke their leases.
    for lease in filter(
        served.keys.is_own_lease, served.raw.leases(deadline=time.monotonic() + 60)
    ):
        if served.raw.is_idle(lease, deadline=time.monotonic() + 60):
            served.raw.revoke(lease, deadline=time.monotonic() + 60)


def test_a_store_in_use_is_consistent_and_counted(place: Place) -> None:
    place.api.put("/v1/stacks/s/facts/a/b", "x")
    place.api.put("/v1/stacks/s/facts/t", json={"value": 1, "ttl": 60})
    place.api.put("/v1/stacks/s/facts/i", 1, headers={"Idempotency-Key": "once"})
    place.api.put("/v1/stacks/gone/facts/a", 1)
    place.api.delete("/v1/stacks/gone")
    result = place.verify()
    assert (result.returncode, result.stderr) == (0, "")
    size = place.api.get("/v1/stacks/s").json()["usage"]["bytes"]
    assert result.stdout == f"1 stack, 3 facts, {size} bytes, 1 project; 0 findings\n"
    told = place.told()
    assert told["root"] == place.keys.root
    assert (told["consistent"], told["findings"]) == (True, [])
    assert told["counts"] == {"stacks": 1, "facts": 3, "bytes": size, "projects": 1}
    assert told["projects"] == [
        {
            "id": NO_PROJECT,
            "stacks": 1,
            "facts": 3,
            "bytes": size,
            "receipts": 1,
            "subscriptions": 0,
        }
    ]


def test_a_finding_states_the_fault_its_place_and_the_remedy(place: Place) -> None:
    place.plant(place.keys.receipt("p", "k"), b"{}")
    place.plant(place.keys.root.encode() + b"/\x1b[2J\xff", b"")
    result = place.verify()
    assert (result.returncode, result.stderr) == (1, "")
    assert result.stdout == (
        f"unknown_key: {place.keys.root}/\\x1b[2J\\\\xff\n"
        "  this version of factstore never writes this key\n"
        "  if a newer version of factstore uses this store, verify with that version; otherwise"
        " delete the key\n"
        f"unreadable: {place.keys.root}/idem/p/k\n"
        "  it is not the receipt of an Idempotency-Key: it is malformed\n"
        "  if a newer version of factstore wrote the record, verify with that version; otherwise"
        " restore the key from a backup, or delete it\n"
        "0 stacks, 0 facts, 0 bytes, 1 project; 2 findings\n"
    )
    told = place.told(status=1)
    assert not told["consistent"]
    assert [finding["kind"] for finding in told["findings"]] == ["unknown_key", "unreadable"]
    assert told["findings"][1]["advice"] in result.stdout


def test_nothing_is_written_without_repair(place: Place) -> None:
    place.api.put("/v1/stacks/s/facts/a", 1)
    place.plant(place.keys.fact("p", "lost", "a"), codec.encode_fact(fact("a")))
    before = place.left()
    assert place.told(status=1)["findings"][0]["kind"] == "orphan"
    assert place.left() == before


def test_repair_has_the_workers_sweep_an_orphan(place: Place) -> None:
    place.api.put("/v1/stacks/s/facts/a", 1)
    before = place.left()
    for n in range(600):
        place.plant(place.keys.fact("p", "lost", f"a/{n}"), codec.encode_fact(fact("a")))
    told = place.told("--repair")
    assert [(f["kind"], f["repaired"]) for f in told["findings"]] == [("orphan", True)]
    eventually(lambda: place.left() == before)
    assert place.told()["findings"] == []
    assert place.api.get("/v1/stacks/s/facts/a").json()["value"] == 1


def test_repair_leaves_other_findings_to_the_operator(place: Place) -> None:
    place.plant(place.keys.receipt("p", "k"), b"{}")
    before = place.left()
    told = place.told("--repair", status=1)
    assert [(f["kind"], f["repaired"]) for f in told["findings"]] == [("unreadable", False)]
    assert place.left() == before


def test_repair_deletes_the_keys_of_earlier_versions(place: Place) -> None:
    before = place.left()
    place.plant(place.keys.legacy("p"), b"")
    assert place.told()["findings"] == []
    assert place.told("--repair")["findings"] == []
    assert place.left() == before


def test_a_service_keeps_serving_beside_damaged_records(place: Place) -> None:
    place.api.put("/v1/stacks/s/facts/a/b", "kept")
    living = record_of(Scope("p", "other"))
    kinds = set()
    for _, corruption in corruptions(place.keys, living):
        for key, value in corruption.puts.items():
            if value is not None and key != place.keys.epoch:
                place.plant(key, value)
                kinds.add(corruption.kind)
    told = place.told(status=1)
    assert {finding["kind"] for finding in told["findings"]} >= kinds & {
        "unknown_key",
        "unreadable",
    }
    assert place.api.get("/v1/stacks/s/facts/a/b").json()["value"] == "kept"
    assert place.api.put("/v1/stacks/s/facts/a/b", "again").status_code == 200


# What cannot be done


def test_an_unreachable_etcd_results_in_one_line_and_status_2(
    tmp_path: Path,
) -> None:
    config = tmp_path / "conf"
    port = free_port()
    write_options(config, {"etcd": {"endpoints": f"http://127.0.0.1:{port}"}})
    line = one_line(factstore("verify", "--config-file", config), 2)
    reason = f"http://127.0.0.1:{port}: connection refused"
    assert line == f"factstore verify: The store cannot be reached: {reason}"


def test_a_frozen_etcd_results_in_a_one_line_error(
    private_etcd: EtcdServer, tmp_path: Path
) -> None:
    config = tmp_path / "conf"
    write_options(config, {"etcd": {"endpoints": private_etcd.endpoint, "timeout": "1"}})
    private_etcd.pause()
    line = one_line(factstore("verify", "--config-file", config), 2)
    assert line.endswith(f"{private_etcd.endpoint}: it does not answer")


def test_refused_credentials_result_in_a_one_line_error_without_them(
    etcd: EtcdServer, tmp_path: Path
) -> None:
    config = tmp_path / "conf"
    etcd_options = {"endpoints": etcd.endpoint, "username": "u-s-e-r", "password": "hunter2"}
    write_options(config, {"etcd": etcd_options})
    line = one_line(factstore("verify", "--config-file", config), 2)
    assert "refuses the service's credentials" in line
    assert "hunter2" not in line


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[etcd]\npassword hunter2\n", "not an option"),
        ("[etcd]\npassword = hunter2\ntimeout = soon\n", "timeout"),
        ("[etcd]\npassword = hunter2\nroot = /\n", "root"),
        ("[etcd]\npassword = hunter2\nca_file = /nowhere/ca\nendpoints = https://a:1\n", "nowhere"),
    ],
)
def test_a_bad_configuration_results_in_a_one_line_error_without_secrets(
    tmp_path: Path, text: str, why: str
) -> None:
    config = tmp_path / "conf"
    config.write_text(text)
    line = one_line(factstore("verify", "--config-file", config), 2)
    assert why in line
    assert "hunter2" not in line


def test_a_missing_configuration_results_in_a_one_line_error(tmp_path: Path) -> None:
    line = one_line(factstore("verify", "--config-file", tmp_path / "none"), 2)
    assert str(tmp_path / "none") in line


def test_the_configuration_is_found_where_the_service_finds_it(place: Place) -> None:
    named = factstore("verify", OS_FACTSTORE_CONFIG_FILES=str(place.config))
    assert (named.returncode, named.stdout) == (0, place.verify().stdout)


def test_several_files_are_read_in_their_order(place: Place, tmp_path: Path) -> None:
    override = tmp_path / "override"
    override.write_text("[etcd]\nroot = /nothing/is/here\n")
    told = place.told("--config-file", str(override), status=1)
    assert told["root"] == "/nothing/is/here"
    assert [finding["kind"] for finding in told["findings"]] == ["epoch_missing"]
