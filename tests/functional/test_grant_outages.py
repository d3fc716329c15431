"""Streams end with their grant, also on a worker that cannot reach etcd."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from webob import Request, Response

from factstore.api.event_stream import Credential, stream_chunks
from factstore.api.identity import ENVIRON_KEY, Identity
from factstore.cmd.processes.api import write_options
from factstore.cmd.processes.etcd import EtcdServer
from factstore.core.errors import Unavailable
from factstore.core.services.grants import FRESH_SECONDS
from factstore.core.services.watch_frames import GoodbyeFrame, PingFrame
from factstore.wsgi import configuration, runtime
from factstore.wsgi.auth.grants import GrantAuth
from factstore.wsgi.clock import SystemClock
from tests.eventually import eventually
from tests.grants import Held, issue, issue_reader, let_expire
from tests.http import Caller, fresh_stack, refused
from tests.relay import Relay
from tests.service import ApiServer, check_log


class Clock:
    """Time that passes when a frame is asked for."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def timestamp(self) -> str:
        raise AssertionError("nobody asks for the time of day")


@pytest.fixture
def apart(etcd: EtcdServer, tmp_path: Path) -> Iterator[tuple[runtime.Runtime, Relay]]:
    """A worker's machinery in this process, and its line to etcd."""
    config = tmp_path / "factstore.conf"
    with Relay(etcd.endpoint) as line:
        write_options(config, {"etcd": {"endpoints": line.endpoint, "timeout": "10.0"}})
        made = runtime.build(configuration.read([str(config)]), SystemClock())
        made.start()
        try:
            assert made.pump.wait_ready(30)
            eventually(lambda: caught_up(made), 60)
            yield made, line
        finally:
            made.stop()


def caught_up(machinery: runtime.Runtime) -> bool:
    """Return True if it has read the whole history of other tests."""
    try:
        machinery.store.refresh(machinery.clock.monotonic() + 1)
    except Unavailable:
        return False
    return True


def identity_of(machinery: runtime.Runtime, stack: str, grant: Held) -> Identity:
    """Return the caller that the application sees behind the gate."""
    gate = GrantAuth(Response("fine"), Response("others"), machinery.services.grants)
    request = Request.blank(stack, headers=grant.bearer)
    assert request.get_response(gate).text == "fine"
    found: Identity = request.environ[ENVIRON_KEY]
    return found


def ends_after(identity: Identity) -> float:
    """Seconds until a quiet stream of this caller's says goodbye."""
    clock = Clock()

    def frames() -> Iterator[PingFrame | GoodbyeFrame]:
        while True:
            clock.now += 15.0  # a quiet stream pings so often
            yield PingFrame()

    *_, goodbye = stream_chunks(frames(), Credential(identity, clock))
    assert goodbye.startswith(b"event: goodbye\nretry: ")
    assert b"credential" in goodbye
    return clock.now


@pytest.mark.parametrize(
    "how", ["revoked", "expired", "its stack deleted", "its group's revoked", "enrolled again"]
)
def test_a_stream_ends_within_a_minute_of_its_grant_and_not_before(
    etcd: EtcdServer,
    apart: tuple[runtime.Runtime, Relay],
    one_worker: ApiServer,
    stack: str,
    how: str,
) -> None:
    machinery, _ = apart
    with Caller(one_worker.url) as owner:
        owner.put(f"{stack}/facts/shared", 1).raise_for_status()
        grant, lasting = issue_reader(owner, stack), issue(owner, f"{stack}x")
        group = issue(owner, stack, None, group="g")
        instance = group.caller(owner.url)
        if how in ("its group's revoked", "enrolled again"):
            grant = issue(instance, stack)
        held, kept = (
            identity_of(machinery, where, each)
            for where, each in ((stack, grant), (f"{stack}x", lasting))
        )
        assert held.still_valid()
        match how:
            case "revoked":
                owner.delete(f"{stack}/grants/{grant.id}").raise_for_status()
            case "expired":
                let_expire(etcd.endpoint, owner, stack, grant)
            case "its group's revoked":
                owner.delete(f"{stack}/grants/{group.id}").raise_for_status()
            case "enrolled again":
                assert issue(instance, stack).id == grant.id
            case _:
                owner.delete(stack).raise_for_status()
        assert not held.still_valid()  # it asks etcd, whatever its watch has told
        assert ends_after(held) <= 60
        assert kept.still_valid()
        instance.close()


def test_a_stream_outlives_a_line_to_etcd_and_not_the_end_of_its_grant(
    apart: tuple[runtime.Runtime, Relay], one_worker: ApiServer, stack: str
) -> None:
    machinery, line = apart
    with Caller(one_worker.url) as owner:
        grant = issue(owner, stack)
        held = identity_of(machinery, stack, grant)
        line.cut()
        owner.delete(f"{stack}/grants/{grant.id}").raise_for_status()
        assert held.still_valid()  # nobody can tell
        line.mend()
        eventually(lambda: not held.still_valid(), 60)


# Without etcd


@pytest.fixture
def cut_off(private_etcd: EtcdServer, tmp_path: Path) -> Iterator[tuple[ApiServer, Relay]]:
    """A service whose line to etcd can be cut; it gives up on it after a second."""
    brief = {"etcd": {"timeout": "3.0"}}
    with (
        Relay(private_etcd.endpoint) as line,
        ApiServer([line.endpoint], tmp_path / "cut", options=brief) as server,
    ):
        yield server, line
        check_log(server)


def test_a_worker_without_etcd_soon_answers_503_and_never_401(
    private_etcd: EtcdServer, cut_off: tuple[ApiServer, Relay], tmp_path: Path, stack: str
) -> None:
    here, line = cut_off
    stale = f"{stack}/facts/shared?consistency=stale"
    with (
        ApiServer([private_etcd.endpoint], tmp_path / "there") as there,
        Caller(there.url) as owner,
        Caller(here.url) as caller,
    ):
        owner.put(f"{stack}/facts/shared", 1).raise_for_status()
        revoked, good = issue(owner, stack), issue(owner, stack)
        for grant in (revoked, good):
            assert caller.get(stale, headers=grant.bearer).ok
        line.cut()
        owner.delete(f"{stack}/grants/{revoked.id}").raise_for_status()
        late = issue(owner, stack)
        unknown = Held(f"{uuid.uuid4().hex}-{'0' * 16}", "x" * 43)
        answer = caller.get(
            stale, headers=late.bearer
        )  # it is good, but this worker cannot know that
        refused(answer, "503 store_unavailable")
        assert int(answer.headers["Retry-After"]) >= 1
        eventually(
            lambda: caller.get(stale, headers=revoked.bearer).status_code == 503, FRESH_SECONDS + 5
        )
        for grant in (revoked, good, unknown):
            refused(caller.get(stale, headers=grant.bearer), "503 store_unavailable")
        line.mend()
        eventually(lambda: caller.get(stale, headers=good.bearer).ok)
        refused(caller.get(stale, headers=revoked.bearer), "401 unauthorized")
        refused(caller.get(stale, headers=unknown.bearer), "401 unauthorized")
        assert caller.get(stale, headers=late.bearer).ok


def test_a_grant_is_valid_again_after_an_outage_of_etcd(
    private_etcd: EtcdServer, tmp_path: Path
) -> None:
    stack = f"/v1/stacks/{fresh_stack()}"
    options = {"etcd": {"timeout": "3.0"}}
    with (
        ApiServer([private_etcd.endpoint], tmp_path / "api", options=options) as server,
        Caller(server.url) as owner,
    ):
        grant = issue(owner, stack)
        private_etcd.kill()
        with grant.caller(server.url) as holder:
            answer = holder.put(f"{stack}/facts/nodes/c1/ip", 1)
            assert answer.status_code in (503, 504)
            private_etcd.restart()
            eventually(lambda: holder.put(f"{stack}/facts/nodes/c1/ip", 2).ok)
        check_log(server)
