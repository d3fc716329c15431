"""Sensitive facts with real tokens: who sees a value, and that nothing else shows it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest
import requests

from factstore.cmd.processes.etcd import EtcdServer
from factstore.cmd.processes.keystone import KeystoneServer
from tests.http import Caller, fresh_stack, refused
from tests.keystone.conftest import Login, with_token
from tests.keystone.test_secrets import TALKATIVE, check_health
from tests.keystone.test_secrets import Told as _Told
from tests.service import ApiServer, check_log
from tests.streaming import Stream

SECRET = "canary-secret"
SENSITIVE = {"value": SECRET, "sensitive": True, "readers": ["group/head"]}


def test_members_of_the_project_see_the_value_and_readers_do_not(login: Login, stack: str) -> None:
    owner, reader = login("owner"), login("reader")
    fact = f"{stack}/facts/key"
    assert owner.put(fact, json=SENSITIVE).json()["value"] == SECRET
    assert owner.get(fact).json()["value"] == SECRET
    raw = {"Accept": "text/plain"}
    for query, headers in (("", {}), ("?format=raw", raw), ("?consistency=stale", {})):
        entry = refused(reader.get(fact + query, headers=headers), "403 forbidden")
        assert "readers" in entry["detail"]
    assert reader("HEAD", fact).status_code == HTTPStatus.FORBIDDEN
    known = {"If-None-Match": owner.get(fact).headers["ETag"]}
    refused(reader.get(fact, headers=known), "403 forbidden")
    (listed,) = reader.get(f"{stack}/facts").json()["facts"]
    assert (listed["value"], listed["sensitive"], listed["readers"]) == (None, True, ["group/head"])
    assert reader.get(f"{stack}/context").json()["sensitive"] == {"key": listed["etag"]}


def test_a_wait_for_a_sensitive_fact_is_refused_once_it_exists(login: Login, stack: str) -> None:
    owner, reader = login("owner"), login("reader")
    owner.put(f"{stack}/facts/open", 1).raise_for_status()
    assert reader.get(f"{stack}/facts/key?wait=0").status_code == HTTPStatus.NOT_FOUND
    owner.put(f"{stack}/facts/key", json=SENSITIVE).raise_for_status()
    refused(reader.get(f"{stack}/facts/key?wait=20"), "403 forbidden")


def test_another_project_does_not_learn_that_a_sensitive_fact_exists(
    login: Login, stack: str
) -> None:
    login("owner").put(f"{stack}/facts/key", json=SENSITIVE).raise_for_status()
    for persona in ("outsider", "admin"):
        refused(login(persona).get(f"{stack}/facts/key"), "404 not_found")


@pytest.fixture
def strict(
    etcd: EtcdServer, keystone: KeystoneServer, tokens: dict[str, str], tmp_path: Path
) -> Iterator[Caller]:
    """An owner at a service whose operator lets nobody see what is sensitive."""
    policy = tmp_path / "policy.yaml"
    policy.write_text('"contextualization:facts:get_sensitive": "!"\n')
    with (
        ApiServer(
            [etcd.endpoint],
            tmp_path / "api",
            auth="keystone",
            keystone=keystone,
            options={"oslo_policy": {"policy_file": str(policy)}, "etcd": {"root": "/strict"}},
        ) as service,
        Caller(service.url, {"X-Auth-Token": tokens["owner"]}) as owner,
    ):
        yield owner
        check_log(service, SECRET)


def test_an_operator_may_forbid_writers_to_read_sensitive_facts(strict: Caller, stack: str) -> None:
    fact = f"{stack}/facts/key"
    made = strict.put(fact, json=SENSITIVE)
    assert (made.status_code, made.json()["value"]) == (HTTPStatus.CREATED, None)
    refused(strict.get(fact), "403 forbidden")
    again = strict.put(fact, json=SENSITIVE)
    assert "Factstore-Unchanged" not in again.headers, "or they could find out what it is"
    assert (again.json()["version"], again.json()["value"]) == (2, None)
    operation = {"put": {"path": "key", **SENSITIVE}}
    (result,) = strict.post(f"{stack}/batch", json={"operations": [operation]}).json()["results"]
    assert (result["outcome"], result["fact"]["version"]) == ("updated", 3)


# Canaries


class Told(_Told):
    """All text for callers who may not read a value, including errors."""

    def other(self, answer: requests.Response) -> requests.Response:
        self.statuses.add(answer.status_code)
        self.bodies.append(f"{answer.headers} {answer.text}")
        return answer


def misuse(owner: Caller, stack: str, told: Told) -> None:
    """Everything that is refused, with a sensitive value in it."""
    fact = f"{stack}/facts/key"
    wish = {"sensitive": True}
    bodies: list[dict[str, object]] = [
        {"value": SECRET, "kind": "guessed"},
        {"value": SECRET, "ttl": 1},
        {"value": SECRET, "colour": "red"},
        {"value": SECRET, "readers": ["head"]},
        {"value": SECRET, "readers": "head"},
        {"value": SECRET, "member": "nobody"},
        {"value": SECRET, "generation": "0123456789abcdef"},
        {"value": SECRET * 10_000},
        {"value": SECRET * 100_000},
        {"value": {"a": SECRET, "b": "\0"}},
    ]
    for body in bodies:
        told.other(owner.put(fact, json={**body, **wish}))
        operation = {"put": {"path": "key", **body, **wish}}
        told.other(owner.post(f"{stack}/batch", json={"operations": [operation]}))
    for text in (
        b'{"sensitive": true, "value": "canary-secret"',
        b'{"sensitive": true, "value": "canary-secret \\ud800"}',
        b'{"sensitive": true, "value": 98765432109876543210}',
        b'{"sensitive": true, "value": 98765432109876543210e999}',
        b'{"sensitive": true, "value": ' + b"[" * 40 + b'"canary-secret"' + b"]" * 40 + b"}",
    ):
        told.other(owner("PUT", fact, data=text, headers={"Content-Type": "application/json"}))
    body = {"value": SECRET, **wish}
    told.other(owner.put(f"{fact}/below", json=body))
    told.other(owner.put(fact, json=body, headers={"If-None-Match": "*"}))
    told.other(owner.put(fact, json=body, headers={"If-Match": '"0123456789abcdef.1"'}))
    other = {"value": "canary-other", **wish}
    told.other(owner.put(fact, json=other, headers={"Idempotency-Key": "one"}))
    guards = [{"path": "key", "absent": True}]
    operations = [{"put": {"path": "key", **body}}]
    told.other(owner.post(f"{stack}/batch", json={"guards": guards, "operations": operations}))
    told.other(owner.get(f"{fact}?format=raw", headers={"Accept": "application/json"}))


def watch(reader: Caller, stack: str, told: Told) -> None:
    """All that a reader may read."""
    told.other(reader.get(f"{stack}/facts"))
    told.other(reader.get(f"{stack}/facts/key"))
    told.other(reader.get(f"{stack}/facts/key?format=raw", headers={"Accept": "text/plain"}))
    told.other(reader.get(f"{stack}/context"))
    told.other(reader.get(f"{stack}/context?member=c1&include=results"))
    told.other(reader.get(f"{stack}/waiters/guess"))
    told.other(reader.get(f"{stack}/waiters"))
    told.other(reader.get(stack))
    told.other(reader.get("/v1/openapi.json"))


def in_all_of(folder: Path, *words: str) -> list[str]:
    """The files below a folder in which a word stands, in the clear or in base64."""
    spelt = [form for word in words for form in spellings(word)]
    return [
        f"{file}: {word!r}"
        for file in folder.rglob("*")
        if file.is_file()
        for word in spelt
        if word in file.read_bytes()
    ]


def spellings(word: str) -> list[bytes]:
    plain = word.encode()
    # base64 of a text depends on where in it the word begins.
    shifted = [base64.b64encode(b"x" * n + plain)[4:-4] for n in range(3)]
    return [plain, plain.hex().encode(), *shifted]


def test_a_sensitive_value_appears_only_in_answers_to_permitted_readers(
    private_etcd: EtcdServer, keystone: KeystoneServer, tokens: dict[str, str], tmp_path: Path
) -> None:
    told = Told(secrets={"canary-", "98765432109876543210"})
    server = ApiServer(
        [private_etcd.endpoint],
        tmp_path / "api",
        auth="keystone",
        keystone=keystone,
        options={
            "DEFAULT": {"debug": "true", "default_log_levels": TALKATIVE},
            "api": {"access_log": "true"},
        },
    )
    stack = f"/v1/stacks/{fresh_stack()}"
    with (
        server,
        with_token(server, tokens["owner"]) as owner,
        with_token(server, tokens["reader"]) as reader,
    ):
        owner.put(f"{stack}/facts/open", "in the clear").raise_for_status()
        owner.put(f"{stack}/members/c1", json={"group": "compute"}).raise_for_status()
        headers = {"X-Auth-Token": tokens["reader"]}
        since = reader.get(f"{stack}/facts").json()["cursor"]
        with Stream(server.url, f"{stack}/events?since={since}", headers) as stream:
            key = {"Idempotency-Key": "one"}
            for path in ("key", "nodes/c1/key", "results/c1/log"):
                body = {"value": {"canary-member": [SECRET, SECRET]}, "sensitive": True}
                owner.put(f"{stack}/facts/{path}", json=body, headers=key).raise_for_status()
                key = {}
            put = {"path": "batch", "value": SECRET, "sensitive": True, "readers": ["member/c1"]}
            for _ in range(2):
                answer = owner.post(
                    f"{stack}/batch",
                    json={"operations": [{"put": put}]},
                    headers={"Idempotency-Key": "two"},
                )
                assert told.other(answer).status_code == HTTPStatus.OK
            guess = {"success": {"facts": "batch", "equals": "guess"}, "timeout": 60}
            owner.put(f"{stack}/waiters/guess", json=guess).raise_for_status()
            watch(reader, stack, told)
            misuse(owner, stack, told)
            owner.put(f"{stack}/facts/batch", json={"value": 1}).raise_for_status()
            owner.delete(f"{stack}/facts/key").raise_for_status()
            told.other(reader.get(f"{stack}/events?since={since}"))
            with Stream(server.url, f"{stack}/events?initial=true", headers) as snapshot:
                told.bodies.append(str(snapshot.expect("snapshot").data))
            owner.put(f"{stack}/facts/last", 1).raise_for_status()
            while True:
                frame = stream.expect("change")
                told.bodies.append(str(frame.data))
                if "last" in frame.paths:
                    break
        check_health(server, told)
        assert owner.get(f"{stack}/facts/nodes/c1/key").json()["value"]["canary-member"]
    log = server.log_path.read_text(errors="replace")
    assert "factstore" in log
    assert told.statuses >= {200, 400, 403, 409, 412, 413}
    assert told.leaks("\n".join(told.bodies)) == []
    assert told.leaks(log) == []
    private_etcd.stop()  # so that all is on its disk
    assert in_all_of(private_etcd.data_dir, "canary-secret", "canary-member", "canary-other") == []
    assert in_all_of(private_etcd.data_dir, "in the clear"), "it is looked for in the right place"
    assert in_all_of(tmp_path / "api", "canary-secret", "canary-member", "canary-other") == []
