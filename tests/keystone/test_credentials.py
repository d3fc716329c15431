"""Credentials that end, that are for less, and clients that bring their own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

from keystoneauth1 import adapter, loading
from webob import Request, Response

from factstore.api.event_stream import Credential, stream_chunks
from factstore.api.identity import ENVIRON_KEY, Identity
from factstore.cmd.processes.api import write_options
from factstore.cmd.processes.etcd import EtcdServer
from factstore.cmd.processes.keystone import KeystoneServer
from factstore.core.services.watch_frames import GoodbyeFrame, PingFrame
from factstore.wsgi import configuration
from factstore.wsgi.auth.keystone import KeystoneAuth
from factstore.wsgi.clock import SystemClock
from factstore.wsgi.fast_path.callers import ValidTokens
from tests.conftest import serving_keystone
from tests.eventually import eventually
from tests.http import Caller, fresh_stack, refused
from tests.keystone.conftest import CACHE_SECONDS, Login, with_token
from tests.service import ApiServer, check_log


def test_a_revoked_token_is_refused_when_the_cache_forgets_it(
    keystone: KeystoneServer, server: ApiServer, stack: str
) -> None:
    token = keystone.accounts.issue("owner")
    with with_token(server, token) as owner:
        assert owner.put(f"{stack}/facts/a", 1).status_code == HTTPStatus.CREATED
        keystone.accounts.revoke(token)
        eventually(
            lambda: owner.get(stack).status_code == HTTPStatus.UNAUTHORIZED, CACHE_SECONDS + 60
        )
        refused(owner.put(f"{stack}/facts/a", 2), "401 unauthorized")


def test_a_token_that_expired_is_refused(
    etcd: EtcdServer, keystone_state: Path, tmp_path: Path, stack: str
) -> None:
    with (
        contextmanager(serving_keystone)(keystone_state, tmp_path / "brief", 6) as brief,
        ApiServer([etcd.endpoint], tmp_path / "api", auth="keystone", keystone=brief) as server,
    ):

        def new_token() -> str | None:
            """Return a token that was accepted; on a busy machine, some expire before."""
            token = brief.accounts.issue("owner")
            with with_token(server, token) as owner:
                return token if owner.put(f"{stack}/facts/a", 1).ok else None

        token = eventually(new_token)
        assert token is not None
        with with_token(server, token) as owner:
            eventually(lambda: owner.get(stack).status_code != HTTPStatus.OK)
            refused(owner.get(stack), "401 unauthorized")
        assert eventually(new_token)
        check_log(server)


def test_missing_and_invalid_credentials_have_errors_of_their_own(
    keystone: KeystoneServer, server: ApiServer, stack: str
) -> None:
    with Caller(server.url) as nobody:
        missing = nobody.get(stack)
        refused(missing, "401 unauthorized")
        assert "has no credentials" in missing.json()["detail"]
        invalid = nobody.get(stack, headers={"X-Auth-Token": "invented"})
        refused(invalid, "401 unauthorized")
        assert "token is not valid" in invalid.json()["detail"]
        forged = {"X-Service-Token": "invented"}
        with with_token(server, keystone.accounts.issue("owner")) as owner:
            assert "service token" in owner.get(stack, headers=forged).json()["detail"]


class Clock:
    """Time that passes when a frame is asked for."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def timestamp(self) -> str:
        raise AssertionError("nobody asks for the time of day")


def test_a_stream_ends_within_a_minute_of_its_credential() -> None:
    clock, checks = Clock(), []
    revoked_at = 100.0

    def still_valid() -> bool:
        checks.append(clock.now)
        return clock.now < revoked_at

    def frames() -> Iterator[PingFrame | GoodbyeFrame]:
        while True:
            clock.now += 15.0  # a quiet stream pings so often
            yield PingFrame()

    identity = Identity("u", "p", ("member",), still_valid)
    *pings, goodbye = stream_chunks(frames(), Credential(identity, clock))
    assert goodbye.startswith(b"event: goodbye\nretry: ")
    assert b"credential" in goodbye
    assert clock.now - revoked_at <= 60
    assert len(pings) > 5
    assert all(later - earlier >= 30 for earlier, later in itertools.pairwise(checks))


def seen_by_the_application(gate: KeystoneAuth, token: str) -> Identity:
    """Return the caller that the application sees behind the gate, for this token."""
    request = Request.blank("/v1/stacks", headers={"X-Auth-Token": token})
    answer = request.get_response(gate)
    assert answer.status_code == HTTPStatus.OK
    found: Identity = request.environ[ENVIRON_KEY]
    return found


def test_an_open_stream_learns_of_revocation_but_outlives_keystone(
    private_keystone: KeystoneServer, tmp_path: Path
) -> None:
    accounts = private_keystone.accounts
    config = tmp_path / "factstore.conf"
    section = {**accounts.authtoken_options(), "token_cache_time": 300}
    write_options(config, {"keystone_authtoken": {**section, "http_request_max_retries": 0}})
    gate = KeystoneAuth(
        Response("fine"), configuration.read([str(config)]), ValidTokens(SystemClock())
    )
    token = accounts.issue("owner")
    credential = accounts.application_credential("owner", fresh_stack())
    issued = (token, accounts.issue_with(credential), accounts.issue("owner"))
    revoked, deleted, lasting = (seen_by_the_application(gate, each) for each in issued)
    assert [each.still_valid() for each in (revoked, deleted, lasting)] == [True] * 3
    accounts.revoke(token)
    accounts.delete_application_credential("owner", credential)
    assert not revoked.still_valid()  # whatever the cache says
    assert not deleted.still_valid()
    assert lasting.still_valid()
    private_keystone.kill()
    assert lasting.still_valid()


def test_a_credential_with_the_role_of_a_reader_reads(
    keystone: KeystoneServer, server: ApiServer, login: Login, stack: str
) -> None:
    login("owner").put(f"{stack}/facts/a", 1)
    credential = keystone.accounts.application_credential("owner", fresh_stack(), roles=["reader"])
    with with_token(server, keystone.accounts.issue_with(credential)) as reader:
        assert reader.get(f"{stack}/facts/a").json()["value"] == 1
        refused(reader.put(f"{stack}/facts/a", 2), "403 forbidden")


def test_keystoneauth_clients_log_in_by_password(
    keystone: KeystoneServer, server: ApiServer, login: Login, stack: str
) -> None:
    session = keystone.accounts.session("owner")
    client = adapter.Adapter(
        session,
        service_type="contextualization",
        endpoint_override=server.url,
        default_microversion="1.0",
        raise_exc=False,
    )
    answer = client.put(f"{stack}/facts/a", json={"value": 1})
    assert answer.status_code == HTTPStatus.CREATED
    assert client.get(f"{stack}/facts/a").json()["value"] == 1
    assert answer.headers["OpenStack-API-Version"] == "contextualization 1.0"
    assert login("reader").get(f"{stack}/facts/a").json()["value"] == 1
    refused(client.get(stack, microversion="1.99"), "406 microversion_unsupported")
    session.session.close()


def test_keystoneauth_clients_need_no_login_without_keystone(
    etcd: EtcdServer, tmp_path: Path, stack: str
) -> None:
    with ApiServer([etcd.endpoint], tmp_path / "api") as server:
        auth = loading.get_plugin_loader("none").load_from_options(endpoint=server.url)
        session = loading.session.Session().load_from_options(auth=auth)
        client = adapter.Adapter(session, service_type="contextualization")
        assert client.put(f"{stack}/facts/a", json={"value": 1}).status_code == HTTPStatus.CREATED
        assert client.get(f"{stack}/facts/a").json()["value"] == 1
        session.session.close()
        server.kill()
