"""A data directory that an earlier version wrote is served as that version served it."""

from __future__ import annotations

import json
import re
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import requests

from factstore.cmd.processes.etcd import EtcdServer
from factstore.store.client import EtcdClient
from factstore.store.keyspace import Keyspace
from factstore.store.types import Credentials
from tests.commands import config_of, factstore
from tests.eventually import eventually
from tests.grants import ROOT, Held
from tests.http import Caller, refused
from tests.patient_client import PatientClient
from tests.service import ApiServer, check_log
from tests.streaming import Stream

SAVED = Path(__file__).with_name("existing_data")
SLURM = "/v1/stacks/slurm"


@dataclass
class Existing:
    """The present service on that store.

    :param document: the saved answers and secrets.
    :param keys: all keys before the service started.
    :param answers: the present answers to the requests that were saved, before any test wrote.
    """

    server: ApiServer
    folder: Path
    document: dict[str, Any]
    raw: EtcdClient
    keys: list[str]
    answers: list[dict[str, Any]]

    @property
    def project(self) -> str:
        """The id of the project that was written with Keystone."""
        return str(self.document["project"])

    def grant(self, name: str) -> Held:
        """An old grant."""
        saved = self.document["grants"][name]
        return Held(saved["id"], saved["token"].partition(".")[2])

    def tag(self, path: str) -> str:
        """The old ETag of a fact of the first stack."""
        return str(self.answer(f"{SLURM}/facts/{path}")["headers"]["ETag"])

    def answer(self, path: str, grant: str = "") -> dict[str, Any]:
        """A saved answer."""
        saved: list[dict[str, Any]] = self.document["answers"]
        return next(each for each in saved if (each["grant"], each["path"]) == (grant, path))

    def run(self, *arguments: str) -> str:
        """Run a command of the operator's; its standard output."""
        command, *rest = arguments
        done = factstore(command, "--config-file", config_of(self.folder), *rest)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout


@pytest.fixture(scope="module")
def existing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Existing]:
    folder = tmp_path_factory.mktemp("existing")
    with tarfile.open(SAVED / "store.tar.xz") as archive:
        # Python has this argument of extractall() since 3.11.4.
        archive.extraction_filter = getattr(tarfile, "tar_filter", None)
        archive.extractall(folder)
    document = json.loads((SAVED / "answers.json").read_text())
    etcd = EtcdServer(folder / "etcd")
    raw = PatientClient([etcd.endpoint], Credentials())
    try:
        etcd.start()
        etcd.wait_ready()
        keys = all_keys(raw)
        with ApiServer([etcd.endpoint], folder) as server:
            answers = [ask(server, document, saved) for saved in document["answers"]]
            yield Existing(server, folder, document, raw, keys, answers)
            check_log(server)
    finally:
        raw.close()
        etcd.kill()


@pytest.fixture
def api(existing: Existing) -> Iterator[Caller]:
    with Caller(existing.server.url) as caller:
        yield caller


def all_keys(raw: EtcdClient) -> list[str]:
    """The keys below the root, without it."""
    below = Keyspace(ROOT).everything
    found = raw.get(below.start, below.end, keys_only=True, deadline=time.monotonic() + 60)
    return [item.key.decode().removeprefix(f"{ROOT}/") for item in found.items]


def ask(server: ApiServer, document: dict[str, Any], saved: dict[str, Any]) -> dict[str, Any]:
    """Send a saved request again; the answer in the form of a saved one."""
    grant, path = saved["grant"], saved["path"]
    token = document["grants"][grant]["token"] if grant else ""
    with Caller(server.url, {"Authorization": f"Bearer {token}"} if grant else {}) as caller:
        answer = caller.get(path)
    headers = {name: answer.headers[name] for name in saved["headers"] if name in answer.headers}
    return {
        "grant": grant,
        "path": path,
        "status": answer.status_code,
        "headers": headers,
        "body": body_of(answer),
    }


def body_of(answer: requests.Response) -> Any:
    """Return the part of a body to compare: the code of an error, because its text may change."""
    if answer.status_code >= HTTPStatus.BAD_REQUEST:
        return {"code": answer.json()["errors"][0]["code"]}
    return answer.json() if "json" in answer.headers["Content-Type"] else answer.text


def without_head(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer without the revision of etcd's head, which any purge moves.

    Only positions of the whole answer name the head. Those of facts, members and events stay.
    """
    found: dict[str, Any] = json.loads(json.dumps(answer))
    head = re.compile(r"(?<=[0-9a-f]{16})\.[0-9]+")
    for part, name in (
        (found["headers"], "Factstore-Cursor"),
        *((found["body"], name) for name in ("cursor", "next")),
    ):
        if isinstance(part, dict) and name in part:
            part[name] = head.sub(".HEAD", part[name])
    if isinstance(found["body"], dict):
        for link in found["body"].get("links", ()):
            link["href"] = head.sub(".HEAD", link["href"])
        for name in ("history_bytes", "history_events"):  # of a worker, not of the store
            found["body"].get("usage", {}).pop(name, None)
    return found


def bound_to(generation: str) -> dict[str, str]:
    return {"Factstore-Generation": generation}


# Reading


def test_the_store_has_every_kind_of_key(existing: Existing) -> None:
    kinds = {
        parts[3] if parts[0] == "data" else parts[0]
        for parts in (key.split("/") for key in existing.keys)
    }
    assert kinds == {
        *("epoch", "sentinel", "compactor", "stacks", "acts", "idem", "purges", "quotas"),
        *("facts", "members", "applied", "waiters", "timers", "signals", "marks", "grants"),
        "seals",
    }
    assert {f"quotas/{existing.project}", "quotas/none"} <= set(existing.keys)


def test_every_answer_is_the_same_as_before(existing: Existing) -> None:
    differing = [
        (saved, now)
        for saved, now in zip(existing.document["answers"], existing.answers, strict=True)
        if without_head(saved) != without_head(now)
    ]
    assert not differing
    assert len(existing.answers) > 100


def test_the_head_is_that_of_the_old_store_or_newer(existing: Existing) -> None:
    def position(answers: list[dict[str, Any]]) -> tuple[str, int]:
        epoch, _, revision = answers[0]["body"]["cursor"].partition(".")
        return epoch, int(revision)

    old, now = position(existing.document["answers"]), position(existing.answers)
    assert old[0] == now[0]
    assert old[1] <= now[1]


def test_a_stream_resumes_at_an_old_cursor(existing: Existing, api: Caller) -> None:
    polled = next(each for each in existing.document["answers"] if "/events?since=" in each["path"])
    since = polled["path"].rpartition("=")[2]
    with Stream(api.url, f"{SLURM}/events", {"Last-Event-ID": since}) as stream:
        for event in polled["body"]["events"]:
            assert stream.expect("change").data == event


# Facts


def test_an_old_etag_is_good_for_one_write(existing: Existing, api: Caller) -> None:
    fact, tag = f"{SLURM}/facts/cluster/partitions", existing.tag("cluster/partitions")
    body = {"value": {}, "kind": "parameter"}
    written = api.put(fact, json=body, headers={"If-Match": tag})
    assert (written.status_code, written.json()["version"]) == (HTTPStatus.OK, 2)
    refused(api.put(fact, json=body, headers={"If-Match": tag}), "412 precondition_failed")
    guard = {"path": "cluster/name", "etag": existing.tag("cluster/name").strip('"')}
    put = {"put": {"path": "batch/c", "value": 3}}
    done = api.post(f"{SLURM}/batch", json={"guards": [guard], "operations": [put]})
    assert done.status_code == HTTPStatus.OK, done.text


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("values/object", {"value": {}}),
        ("values/text", {"value": '\u26fa "quoted"\n\\'}),
        ("lease/long", {"value": "for a month", "ttl": 30 * 24 * 3600}),
        ("nodes/c1/ip", {"value": "10.0.0.1", "member": "c1"}),
        (
            "munge/key",
            {
                "value": "a secret of the old version",
                "sensitive": True,
                "readers": ["group/compute", "member/head"],
            },
        ),
    ],
)
def test_an_equal_value_changes_nothing(
    existing: Existing, api: Caller, path: str, body: dict[str, Any]
) -> None:
    answer = api.put(f"{SLURM}/facts/{path}", json=body)
    assert answer.headers.get("Factstore-Unchanged") == "true"
    assert answer.headers["ETag"] == existing.tag(path)


def test_a_path_remains_a_fact_or_a_folder(api: Caller) -> None:
    refused(api.put(f"{SLURM}/facts/a/b/x", 1), "409 path_below_fact")
    refused(api.put(f"{SLURM}/facts/d0/d1", 1), "409 path_is_folder")


def test_a_repeated_request_gets_its_old_answer(existing: Existing, api: Caller) -> None:
    assert len(existing.document["repeats"]) == 5
    for saved in existing.document["repeats"]:
        key = {"Idempotency-Key": saved["key"]}
        again = api(saved["method"], saved["path"], json=saved["body"], headers=key)
        assert (again.status_code, again.headers.get("ETag")) == (saved["status"], saved["etag"])
        assert (again.json() if again.content else None) == saved["answer"]
    other = api.put(f"{SLURM}/facts/once/put", "other", headers={"Idempotency-Key": "put"})
    refused(other, "409 idempotency_key_reused")


def test_old_sensitive_facts_outlive_their_sealing_key(existing: Existing, api: Caller) -> None:
    existing.run("rotate-keys")
    for path in ("munge/key", "nodes/c1/password", "nodes/c1/token", "once/sealed"):
        saved = existing.answer(f"{SLURM}/facts/{path}")
        assert saved["body"]["sensitive"]
        assert api.get(f"{SLURM}/facts/{path}").json() == saved["body"]


# Members and waiters


def test_an_old_generation_stays_valid(existing: Existing, api: Caller) -> None:
    member, generation = f"{SLURM}/members/c4", existing.document["generations"]["c4"]
    cursor = api.get(f"{SLURM}/facts").json()["cursor"]
    beat = {"generation": generation, "applied": cursor}
    assert api.post(f"{member}/heartbeat", json=beat).status_code == HTTPStatus.NO_CONTENT
    shown = api.get(f"{SLURM}/convergence").json()["members"]
    assert [each["applied"] for each in shown if each["name"] == "c4"] == [cursor]
    drained = api("PATCH", member, json={"state": "draining", "generation": generation})
    assert (drained.json()["state"], drained.json()["declared"]) == ("draining", "heat:4")


def test_an_old_member_departs_with_its_facts(existing: Existing, api: Caller) -> None:
    generations = existing.document["generations"]
    stale = api.post(f"{SLURM}/members/c2/heartbeat", headers=bound_to(generations["c5"]))
    refused(stale, "409 generation_stale")
    gone = api.delete(f"{SLURM}/members/c2", headers=bound_to(generations["c2"]))
    assert gone.status_code == HTTPStatus.NO_CONTENT
    refused(api.get(f"{SLURM}/members/c2"), "404 not_found")
    eventually(
        lambda: (
            api.get(f"{SLURM}/facts/nodes/c2/services/slurmd").status_code == HTTPStatus.NOT_FOUND
        )
    )


def test_an_old_declaration_is_joined(existing: Existing, api: Caller) -> None:
    joined = api.put(f"{SLURM}/members/c3", json={"group": "compute"})
    assert joined.status_code == HTTPStatus.CREATED
    assert joined.json()["declared"] == "heat:3"


def test_an_old_pending_waiter_is_met_by_its_last_signal(api: Caller) -> None:
    waiter = f"{SLURM}/waiters/signalled"
    api.post(f"{waiter}/signal", json={"id": "second"}).raise_for_status()
    met = api.get(f"{waiter}?wait=20").json()
    assert (met["state"], sorted(met["signals"])) == ("met", ["first", "second"])
    assert met["signals"]["first"]["data"] == {"n": 1}


def test_an_old_pending_waiter_is_met_by_a_fact(api: Caller) -> None:
    for name in ("a", "b"):
        api.put(f"{SLURM}/facts/limits/{name}", 3).raise_for_status()
    assert api.get(f"{SLURM}/waiters/compound?wait=20").json()["state"] == "met"


def test_an_old_waiter_that_timed_out_is_armed_again(existing: Existing, api: Caller) -> None:
    saved = existing.answer(f"{SLURM}/waiters/late")["body"]
    assert saved["state"] == "timed_out"
    armed = api.put(f"{SLURM}/waiters/late", json={"success": saved["success"]})
    assert (armed.status_code, armed.json()["state"]) == (HTTPStatus.OK, "pending")


# Grants


def test_an_old_agent_grant_writes_and_is_renewed(existing: Existing) -> None:
    held = existing.grant("agent")
    with held.caller(existing.server.url) as agent:
        assert agent.put(f"{SLURM}/facts/results/c1/new", 1).status_code == HTTPStatus.CREATED
        refused(agent.put(f"{SLURM}/facts/results/c2/new", 1), "403 forbidden")
        renewed = agent.post(f"{SLURM}/grants/{held.id}/renew").json()
        saved = existing.answer(f"{SLURM}/grants/{held.id}")["body"]
        assert {**renewed, "expires_at": 0, "revision": 0} == {
            **saved,
            "expires_at": 0,
            "revision": 0,
        }
        assert renewed["expires_at"] != saved["expires_at"]


def test_an_old_group_grant_enrolls_members_until_it_is_revoked(
    existing: Existing, api: Caller
) -> None:
    group = existing.grant("group")
    with (
        group.caller(existing.server.url) as holder,
        existing.grant("child").caller(existing.server.url) as child,
    ):
        enrolled = holder.post(f"{SLURM}/grants", json={"member": "c9", "group": "compute"})
        assert enrolled.status_code == HTTPStatus.CREATED
        assert child.get(f"{SLURM}/facts").status_code == HTTPStatus.OK
        revoked = api.delete(f"{SLURM}/grants/{group.id}")
        assert revoked.status_code == HTTPStatus.NO_CONTENT
        for caller in (holder, child):
            refused(caller.get(f"{SLURM}/facts"), "401 unauthorized")


# Ends


def test_an_old_stack_is_deleted_with_all_that_it_has(existing: Existing, api: Caller) -> None:
    stack = api.get("/v1/stacks/doomed").json()
    assert api.delete("/v1/stacks/doomed").status_code == HTTPStatus.NO_CONTENT
    refused(api.get("/v1/stacks/doomed/facts"), "404 not_found")
    with existing.grant("of a stack to delete").caller(api.url) as holder:
        refused(holder.get("/v1/stacks/doomed/facts"), "401 unauthorized")
    eventually(lambda: not any(stack["id"] in key for key in all_keys(existing.raw)))


def test_a_stack_that_was_deleted_before_is_purged(existing: Existing) -> None:
    (purge,) = (key for key in existing.keys if key.startswith("purges/"))
    stack_id = purge.rpartition("/")[2]
    assert sum(f"/{stack_id}/" in key for key in existing.keys) > 40
    eventually(lambda: not any(stack_id in key for key in all_keys(existing.raw)))


def test_the_old_store_is_consistent(existing: Existing) -> None:
    report = json.loads(existing.run("verify", "--json"))
    assert (report["consistent"], report["findings"]) == (True, [])
    assert {each["id"] for each in report["projects"]} == {"none", existing.project}


def test_an_old_project_is_purged_with_its_quota_gate(existing: Existing) -> None:
    existing.run("purge", "--project", existing.project, "--yes")
    assert not [key for key in all_keys(existing.raw) if existing.project in key]
