"""Canaries: at DEBUG and through every failure, no secret and no value leaves by a log or an error.

All libraries log at DEBUG. The log of a service as shipped has some of these lines, and no others.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

import pytest
import requests

from factstore.cmd.processes.api import Options
from factstore.cmd.processes.etcd import EtcdServer
from factstore.cmd.processes.keystone import KeystoneServer
from factstore.cmd.processes.ports import LOOPBACK, free_port
from tests.conftest import serving_etcd
from tests.etcd_security import PATIENT
from tests.eventually import eventually
from tests.grants import issue
from tests.http import REQUEST_ID, Caller, fresh_stack
from tests.keystone.conftest import with_token
from tests.memcached import Memcached
from tests.service import ApiServer
from tests.streaming import Stream

ETCD_PASSWORD = "canary-etcd-password"
VALUE = "canary-value"
TALKATIVE = (
    "keystonemiddleware=DEBUG,keystoneauth=DEBUG,keystoneauth1=DEBUG,urllib3=DEBUG,requests=DEBUG,"
    "oslo_policy=DEBUG,oslo_cache=DEBUG,stevedore=DEBUG,grpc=DEBUG,werkzeug=DEBUG,gevent=DEBUG"
)


@dataclass
class Told:
    """The text of errors and healthchecks, and the secrets that must not be in it."""

    secrets: set[str] = field(default_factory=set)
    bodies: list[str] = field(default_factory=list)
    statuses: set[int] = field(default_factory=set)

    def note(self, answer: requests.Response) -> requests.Response:
        self.statuses.add(answer.status_code)
        if answer.status_code >= 400:
            self.bodies.append(f"{answer.headers} {answer.text}")
        return answer

    def fine(self, answer: requests.Response) -> requests.Response:
        """Note it, and that all was well."""
        assert answer.ok, answer.text
        return self.note(answer)

    def leaks(self, text: str) -> list[str]:
        """The lines of a text in which a secret stands, in whatever spelling."""
        spelt = {*self.secrets}
        for secret in self.secrets:
            spelt |= {
                base64.b64encode(secret.encode()).decode().rstrip("="),
                secret.encode().hex(),
                requests.utils.quote(secret),
            }
        return [line for line in text.splitlines() if any(each in line for each in spelt)]


@pytest.fixture
def guarded_etcd(tmp_path: Path) -> Iterator[EtcdServer]:
    """An etcd that wants a password, whose hash costs little."""
    for etcd in serving_etcd(tmp_path / "etcd", "--bcrypt-cost", "4"):
        require_password(etcd)
        yield etcd


def require_password(etcd: EtcdServer) -> None:
    for command in (
        ["user", "add", "root:root-password"],
        ["user", "grant-role", "root", "root"],
        ["user", "add", f"factstore:{ETCD_PASSWORD}"],
        ["role", "add", "facts"],
        ["role", "grant-permission", "facts", "--prefix=true", "readwrite", "/factstore/v1/"],
        ["user", "grant-role", "factstore", "facts"],
        ["auth", "enable"],
    ):
        etcdctl(etcd, *command)


def etcdctl(etcd: EtcdServer, *command: str) -> str:
    program = shutil.which("etcdctl")
    assert program is not None
    done = subprocess.run(
        [program, *PATIENT, "--endpoints", etcd.endpoint, *command],
        check=True,
        capture_output=True,
        text=True,
        env={"ETCDCTL_API": "3", "PATH": ""},
    )
    return done.stdout


@pytest.fixture
def memcached(tmp_path: Path) -> Iterator[Memcached]:
    server = Memcached(tmp_path)
    server.start()
    yield server
    server.kill()


def options(tmp_path: Path, memcached: Memcached) -> Options:
    return {
        "DEFAULT": {
            "debug": "true",
            "default_log_levels": TALKATIVE,
            "log_file": str(tmp_path / "factstore.log"),
        },
        "api": {"access_log": "true"},
        "etcd": {"username": "factstore", "password": ETCD_PASSWORD, "timeout": "3.0"},
        "healthcheck": {"detailed": "true"},
        "oslo_policy": {"policy_file": str(tmp_path / "policy.yaml")},
        "keystone_authtoken": {
            "memcached_servers": memcached.address,
            "token_cache_time": 2,
            "http_request_max_retries": 0,
        },
    }


def test_no_secret_and_no_value_leaves_by_a_log_or_an_error(
    guarded_etcd: EtcdServer, private_keystone: KeystoneServer, memcached: Memcached, tmp_path: Path
) -> None:
    told = Told()
    accounts = private_keystone.accounts
    tokens = {name: accounts.issue(name) for name in ("owner", "reader", "outsider", "admin")}
    told.secrets = {
        *tokens.values(),
        *(accounts.password(name) for name in ("service", "owner", "admin")),
        "canary-",
        "root-password",
    }
    server = ApiServer(
        [guarded_etcd.endpoint],
        tmp_path / "api",
        auth="keystone",
        keystone=private_keystone,
        options=options(tmp_path, memcached),
    )
    with server, with_token(server, tokens["owner"]) as owner:
        stack = f"/v1/stacks/{fresh_stack()}"
        use(owner, stack, told)
        hold(guarded_etcd, owner, stack, told)
        assert memcached.items() > 0
        misuse(owner, stack, told)
        pretend(server, private_keystone, stack, tokens, told)
        check_health(server, told)
        spoil_records(guarded_etcd, owner, stack, told)
        lose_memcached(memcached, owner, stack, told)
        break_policy(tmp_path / "policy.yaml", owner, stack, told)
        lose_etcd(guarded_etcd, owner, stack, told)
        check_health(server, told)
        private_keystone.kill()
        with with_token(server, tokens["reader"]) as reader:
            eventually(lambda: told.note(reader.get(stack)).status_code == 503)
    stdout = server.log_path.read_text(errors="replace")
    log = (tmp_path / "factstore.log").read_text(errors="replace")
    assert told.statuses >= {200, 201, 204, 400, 401, 403, 404, 409, 412, 413, 415, 500, 503}
    assert "Traceback" in log
    assert "X-Subject-Token: {SHA256}" in log  # keystoneauth tells all it sends, but that
    assert told.leaks(stdout) == []
    assert told.leaks(log) == []
    assert told.leaks("\n".join(told.bodies)) == []


def use(owner: Caller, stack: str, told: Told) -> None:
    """Everything as it should be."""
    put = told.fine(
        owner.put(f"{stack}/facts/a", VALUE, headers={"Idempotency-Key": "canary-idempotency"})
    )
    told.fine(owner.put(f"{stack}/facts/text", data=VALUE.encode()))
    told.fine(owner.put(f"{stack}/facts/object", {"canary-member": [VALUE, {"deep": VALUE}]}))
    operations = [{"put": {"path": "b", "value": VALUE}}, {"delete": {"path": "text"}}]
    told.fine(owner.post(f"{stack}/batch", json={"operations": operations}))
    assert VALUE in owner.get(f"{stack}/context").text
    assert VALUE in owner.get(f"{stack}/facts").text
    assert owner.get(f"{stack}/facts/a?format=raw", headers={"Accept": "text/plain"}).text == VALUE
    assert VALUE in owner.get(f"{stack}/events?since={put.headers['Factstore-Cursor']}").text
    headers = {"X-Auth-Token": str(owner.session.headers["X-Auth-Token"])}
    with Stream(owner.url, f"{stack}/events?initial=true", headers) as stream:
        assert stream.expect("snapshot").data["facts"][0]["value"] == VALUE
    told.fine(owner.delete(f"{stack}/facts/b"))


def hold(etcd: EtcdServer, owner: Caller, stack: str, told: Told) -> None:
    """Grants: said right, said wrong, ended; and what etcd has of them."""
    grants = [issue(owner, stack) for _ in range(3)]
    for grant in grants:
        told.secrets |= {grant.secret, grant.token, *grant.bearer.values(), *grant.basic.values()}
    good, revoked, other = grants
    told.note(owner.delete(f"{stack}/grants/{revoked.id}"))
    fact = f"{stack}/facts/nodes/c1/a"
    for held in (good.bearer, good.basic, revoked.bearer, revoked.basic):
        with Caller(owner.url, held) as holder:
            told.note(holder.put(fact, VALUE))
            told.note(holder.put(f"{stack}/facts/a", VALUE))
            told.note(holder.put(fact, json={"value": VALUE, "kind": "parameter"}))
            told.note(holder.get(f"{stack}/context"))
            told.note(holder.get(f"{stack}/grants/{good.id}"))
            told.note(holder.post(f"{stack}/grants/{good.id}/renew", json={"ttl": "canary-ttl"}))
            told.note(holder.post(f"{stack}/grants/{good.id}/renew"))
    for wrong in (
        {"Authorization": f"Bearer {good.id}.{other.secret}"},
        {"Authorization": f"Bearer {good.token}, Bearer {good.token}"},
        {"Authorization": f"Basic {good.token}"},
        {"Authorization": f"Digest {good.token}"},
        {**good.bearer, "X-Auth-Token": str(owner.session.headers["X-Auth-Token"])},
        {**good.bearer, "Accept": "application/canary"},
        {**good.bearer, "OpenStack-API-Version": "contextualization 9.9"},
    ):
        with Caller(owner.url, wrong) as caller:
            told.note(caller.get(fact))
            told.note(caller.put(fact, VALUE))
    for body in ({"member": "canary/member"}, {"member": "c1", "secret": "canary-secret"}, {}):
        told.note(owner.post(f"{stack}/grants", json=body))
    told.bodies += [owner.get(f"{stack}/grants").text, owner.get(f"{stack}/grants/{good.id}").text]
    stored = etcdctl(etcd, "--user", "root:root-password", "get", "--prefix", "")
    assert hashlib.sha256(good.secret.encode()).hexdigest() in stored
    assert not [grant for grant in grants if grant.secret in stored]


def misuse(owner: Caller, stack: str, told: Told) -> None:
    """Everything that can be wrong with a request, with a canary in it."""
    fact = f"{stack}/facts/a"
    bodies: list[bytes] = [
        b'{"value": "canary-cut',
        b'{"value": "canary-trailing"} canary-rest',
        b'{"value": NaN, "description": "canary-nan"}',
        b'{"value": "canary-lone \\ud800"}',
        b'{"value": {"a": "canary-1", "a": "canary-2"}}',
        b'{"value": "canary-null \\u0000"}',
        b'{"value": "canary-\xff"}',
        b'{"value": 1, "kind": "canary-kind"}',
        b'{"value": 1, "ttl": "canary-ttl"}',
        b'{"value": "canary-both", "ttl": 1}',
        b'"canary-bare"',
        b'["canary-list"]',
        b'{"value": ' + b"[" * 40 + b'"canary-deep"' + b"]" * 40 + b"}",
        b'{"value": "' + b"canary-" * 10_000 + b'"}',
        b'{"value": "' + b"canary-" * 200_000 + b'"}',
    ]
    for body in bodies:
        for kind in ("application/json", "text/plain; charset=utf-16", "application/canary-type"):
            told.note(owner("PUT", fact, data=body, headers={"Content-Type": kind}))
        told.note(owner.post(f"{stack}/batch", data=body))
    told.note(owner("PUT", fact, data=b"canary-gzip", headers={"Content-Encoding": "gzip"}))
    told.note(owner.put(f"{fact}/below", VALUE))
    told.note(owner.put(fact, VALUE, headers={"If-Match": '"canary-etag"'}))
    told.note(owner.put(fact, VALUE, headers={"If-None-Match": "*"}))
    key = {"Idempotency-Key": "canary-idempotency"}
    told.note(owner.put(fact, "canary-other", headers=key))
    told.note(owner.put(fact, VALUE, headers={"Idempotency-Key": "canary-" * 100}))
    told.note(owner.get(f"{stack}/facts/missing?wait=0"))
    for query in (
        "wait=canary-wait",
        "since=1",
        "token=canary-token",
        "a=canary-1&a=2",
    ):
        told.note(owner.get(f"{stack}/facts?{query}"))
        told.note(owner.get(f"{stack}/events?{query}"))


def pretend(
    server: ApiServer,
    keystone: KeystoneServer,
    stack: str,
    tokens: dict[str, str],
    told: Told,
) -> None:
    """Credentials of every kind that are not good, or not good enough."""
    owner = tokens["owner"]
    forged = owner[:-8] + "canary-x"
    revoked = keystone.accounts.issue("owner")
    told.secrets.add(revoked)
    keystone.accounts.revoke(revoked)
    for headers in (
        {"X-Auth-Token": "canary-token"},
        {"X-Auth-Token": forged},
        {"X-Auth-Token": revoked},
        {"X-Auth-Token": "canary-\u00e9"},
        {"X-Auth-Token": owner, "X-Service-Token": "canary-service"},
        {"X-Auth-Token": owner, "X-Service-Token": tokens["reader"]},
        {"X-Auth-Token": owner, "X-Service-Token": tokens["admin"]},
        {"Authorization": "Bearer canary-bearer"},
        {"Authorization": "Basic " + base64.b64encode(b"canary-user:canary-pw").decode()},
        {"X-Auth-Token": tokens["reader"], "Cookie": "session=canary-cookie"},
        {"X-Auth-Token": tokens["outsider"], REQUEST_ID: "canary-request"},
        {"X-Auth-Token": tokens["admin"], "User-Agent": "canary-agent"},
        {"X-Auth-Token": tokens["owner"], "X-Roles": "canary-role", "X-User-Id": "canary-id"},
    ):
        with Caller(server.url, headers) as caller:
            told.note(caller.get(f"{stack}/facts/a"))
            told.note(caller.put(f"{stack}/facts/a", VALUE))
            told.note(caller.get("/v1/stacks?project_id=0123456789abcdef"))


def check_health(server: ApiServer, told: Told) -> None:
    """All that anybody may ask, in all its forms."""
    for path in ("/healthcheck", "/healthcheck/live", "/metrics"):
        for kind in ("text/plain", "text/html", "application/json"):
            answer = requests.get(
                server.url + path,
                headers={"Accept": kind, "X-Auth-Token": "canary-health"},
                timeout=60,
            )
            assert answer.text
            told.bodies.append(answer.text)


def spoil_records(etcd: EtcdServer, owner: Caller, stack: str, told: Told) -> None:
    """Records that are none of ours, though they hold our values."""
    root = ["--user", "root:root-password"]
    keys = [
        name
        for name in etcdctl(
            etcd, *root, "get", "--prefix", "/factstore/v1/data/", "--keys-only"
        ).splitlines()
        if name.endswith("/facts/a")
    ]
    for record in (
        VALUE,
        f'"{VALUE}"',
        json.dumps({"format": 1, "value": VALUE}),
        json.dumps({"format": 99, "value": VALUE}),
        json.dumps({VALUE: VALUE}),
        f"{VALUE}\n{VALUE}",
        f'{{"format": 1, "ttl": "{VALUE}"}}\n"{VALUE}"',
    ):
        for key in keys:
            etcdctl(etcd, *root, "put", key, record)
        told.note(owner.get(f"{stack}/facts/a"))
    told.note(owner.put(f"{stack}/facts/a", VALUE))
    for key in keys:
        etcdctl(etcd, *root, "del", key)


def lose_memcached(memcached: Memcached, owner: Caller, stack: str, told: Told) -> None:
    memcached.kill()
    assert told.note(owner.get(stack)).status_code == HTTPStatus.OK
    memcached.start()


def break_policy(file: Path, owner: Caller, stack: str, told: Told) -> None:
    """A rule that cannot be evaluated makes requests fail, with a traceback in the log."""
    file.write_text(f'"contextualization:facts:put": "http://{LOOPBACK}:{free_port()}/"')
    eventually(lambda: told.note(owner.put(f"{stack}/facts/a", VALUE)).status_code == 500)
    file.write_text("{}")
    eventually(lambda: told.note(owner.put(f"{stack}/facts/a", VALUE)).ok)


def lose_etcd(etcd: EtcdServer, owner: Caller, stack: str, told: Told) -> None:
    """etcd freezes, dies, and comes back."""

    def try_all() -> None:
        key = {"Idempotency-Key": "canary-lost"}
        told.note(owner.put(f"{stack}/facts/a", "canary-lost", headers=key))
        told.note(owner.get(f"{stack}/facts/a"))
        operations = [{"put": {"path": "b", "value": "canary-lost"}}]
        told.note(owner.post(f"{stack}/batch", json={"operations": operations}))

    etcd.pause()
    try_all()
    etcd.resume()
    etcd.kill()
    try_all()
    etcd.start()
    eventually(lambda: owner.get(f"{stack}/facts/a").status_code == HTTPStatus.OK)
