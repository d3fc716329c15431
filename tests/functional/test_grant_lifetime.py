"""A grant ends by revocation, with its stack or by expiry, and can be renewed."""

from __future__ import annotations

import itertools
import threading
from datetime import UTC, datetime
from http import HTTPStatus

from factstore.cmd.processes.etcd import EtcdServer
from tests.eventually import eventually
from tests.grants import Held, issue, let_expire
from tests.http import Caller, refused
from tests.service import ApiServer


def seconds_left(shown: dict[str, str]) -> float:
    return (datetime.fromisoformat(shown["expires_at"]) - datetime.now(UTC)).total_seconds()


# By revocation


def test_a_grant_that_was_revoked_is_refused_from_then_on(
    api: Caller, agent: Caller, granted: str, grant: Held
) -> None:
    assert agent.put(f"{granted}/facts/nodes/c1/ip", 2).ok
    assert api.delete(f"{granted}/grants/{grant.id}").status_code == HTTPStatus.NO_CONTENT
    eventually(lambda: agent.get(f"{granted}/facts/shared").status_code != HTTPStatus.OK)
    for answer in (
        agent.get(f"{granted}/facts/shared"),
        agent.get(f"{granted}/facts/shared?consistency=stale"),
        agent.put(f"{granted}/facts/nodes/c1/ip", 3),
        agent.get(f"{granted}/grants/{grant.id}"),
        agent.post(f"{granted}/grants/{grant.id}/renew"),
    ):
        refused(answer, "401 unauthorized")
    refused(api.get(f"{granted}/grants/{grant.id}"), "404 not_found")
    refused(api.delete(f"{granted}/grants/{grant.id}"), "404 not_found")
    refused(api.post(f"{granted}/grants/{grant.id}/renew"), "404 not_found")
    assert api.get(f"{granted}/facts/nodes/c1/ip").json()["value"] == 2  # that stays


def test_a_holder_ends_its_own_grant_and_no_other(
    api: Caller, agent: Caller, granted: str, grant: Held
) -> None:
    other = issue(api, granted, "c1")
    for answer in (
        agent.get(f"{granted}/grants/{other.id}"),
        agent.post(f"{granted}/grants/{other.id}/renew"),
        agent.delete(f"{granted}/grants/{other.id}"),
        agent.delete(f"{granted}/grants/none"),
    ):
        refused(answer, "403 forbidden")
    assert agent.delete(f"{granted}/grants/{grant.id}").ok
    eventually(lambda: agent.get(f"{granted}/facts/shared").status_code != HTTPStatus.OK)
    refused(agent.get(f"{granted}/facts/shared"), "401 unauthorized")
    with other.caller(api.url) as still:
        assert still.get(f"{granted}/facts/shared").ok


def test_a_grant_issued_or_revoked_by_one_worker_is_so_for_all(
    one_worker: ApiServer, two_workers: ApiServer, stack: str
) -> None:
    with Caller(one_worker.url) as owner:
        grant = issue(owner, stack)
        # Each connection meets a worker of its own.
        holders = [grant.caller(url) for url in (one_worker.url, *[two_workers.url] * 6)]
        for n, holder in enumerate(holders):
            assert holder.put(f"{stack}/facts/nodes/c1/n{n}", n).status_code == HTTPStatus.CREATED
        owner.delete(f"{stack}/grants/{grant.id}").raise_for_status()
        for holder in holders:
            eventually(lambda h=holder: h.get(stack).status_code == 401)  # type: ignore[misc]
            refused(holder.put(f"{stack}/facts/nodes/c1/late", 1), "401 unauthorized")
            holder.close()
        refused(owner.get(f"{stack}/facts/nodes/c1/late"), "404 not_found")


def test_no_write_in_flight_succeeds_after_a_revocation(
    one_worker: ApiServer, two_workers: ApiServer, stack: str
) -> None:
    """Its answer names a revision; nothing of the holder's comes after that one."""
    with Caller(one_worker.url) as owner:
        grant = issue(owner, stack)
        written: list[int] = []
        started, stop = threading.Semaphore(0), threading.Event()

        def write(number: int) -> None:
            with grant.caller(two_workers.url) as holder:
                for n in itertools.count():
                    answer = holder.put(f"{stack}/facts/nodes/c1/w{number}", n)
                    if not answer.ok:
                        assert answer.status_code in (401, 403), answer.text
                        return
                    written.append(answer.json()["revision"])
                    started.release()
                    if stop.is_set():
                        return

        writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
        for writer in writers:
            writer.start()
        for _ in range(20):
            assert started.acquire(timeout=60)
        revoked = owner.delete(f"{stack}/grants/{grant.id}")
        for writer in writers:
            writer.join(60)
        stop.set()
        last = int(revoked.headers["Factstore-Cursor"].partition(".")[2])
        facts = owner.get(f"{stack}/facts").json()["facts"]
        assert max(fact["revision"] for fact in facts) < last
        assert max(written) < last


def test_a_stack_that_was_deleted_is_not_brought_back_by_an_agent_that_writes_on(
    one_worker: ApiServer, two_workers: ApiServer, stack: str
) -> None:
    with Caller(one_worker.url) as owner:
        for _ in range(5):
            owner.put(f"{stack}/facts/shared", 1).raise_for_status()
            grant = issue(owner, stack)
            busy, done = threading.Event(), threading.Event()

            def write(held: Held, busy: threading.Event, done: threading.Event) -> None:
                with held.caller(two_workers.url) as holder:
                    for n in itertools.count():
                        holder.put(f"{stack}/facts/nodes/c1/n", n)
                        holder.put(f"{stack}/members/c1", json={"group": "g", "ttl": 600})
                        answer = holder.post(f"{stack}/members/c1/heartbeat")
                        busy.set()
                        if done.is_set() and not answer.ok:
                            return

            writer = threading.Thread(target=write, args=(grant, busy, done))
            writer.start()
            assert busy.wait(60)
            owner.delete(stack).raise_for_status()
            done.set()
            writer.join(60)
            assert not writer.is_alive()
            refused(owner.get(stack), "404 not_found")


def test_a_grant_is_for_the_stack_that_it_was_issued_for_and_not_for_its_namesake(
    api: Caller, agent: Caller, granted: str, grant: Held
) -> None:
    api.delete(granted).raise_for_status()
    api.put(f"{granted}/facts/shared", "again").raise_for_status()
    eventually(lambda: agent.get(f"{granted}/facts/shared").status_code != HTTPStatus.OK)
    refused(agent.get(f"{granted}/facts/shared"), "401 unauthorized")
    refused(api.get(f"{granted}/grants/{grant.id}"), "404 not_found")
    assert api.get(f"{granted}/grants").json()["grants"] == []


# By time


def test_an_expired_grant_is_refused_though_its_record_still_exists(
    etcd: EtcdServer, api: Caller, agent: Caller, granted: str, grant: Held
) -> None:
    assert agent.get(f"{granted}/facts/shared").ok
    let_expire(etcd.endpoint, api, granted, grant)
    eventually(lambda: agent.get(f"{granted}/facts/shared").status_code != HTTPStatus.OK)
    for answer in (
        agent.get(f"{granted}/facts/shared"),
        agent.put(f"{granted}/facts/nodes/c1/ip", 2),
        agent.post(f"{granted}/grants/{grant.id}/renew"),
    ):
        refused(answer, "401 unauthorized")
    refused(api.get(f"{granted}/grants/{grant.id}"), "404 not_found")
    refused(api.post(f"{granted}/grants/{grant.id}/renew"), "404 not_found")


def test_a_renewal_restarts_the_lifetime_and_keeps_the_secret(
    api: Caller, agent: Caller, granted: str, grant: Held
) -> None:
    path = f"{granted}/grants/{grant.id}"
    first = agent.get(path).json()
    assert first["ttl"] == 7 * 24 * 3600
    assert first["ttl"] - 60 < seconds_left(first) <= first["ttl"]
    renewed = agent.post(f"{path}/renew").json()
    assert renewed["expires_at"] > first["expires_at"]
    assert renewed["revision"] > first["revision"]
    changed = {"expires_at", "revision"}
    assert {**first, **{name: renewed[name] for name in changed}} == renewed
    assert agent.get(path).json() == renewed
    shorter = agent.post(f"{path}/renew", json={"ttl": 3600}).json()
    assert (shorter["ttl"], shorter["created_at"]) == (3600, first["created_at"])
    assert 3540 < seconds_left(shorter) <= 3600
    assert agent.get(f"{granted}/facts/shared").ok


def test_a_holder_renews_for_no_longer_than_its_grant_was_issued_for(
    api: Caller, stack: str
) -> None:
    grant = issue(api, stack, ttl=600)
    path = f"{stack}/grants/{grant.id}"
    with grant.caller(api.url) as agent:
        refused(agent.post(f"{path}/renew", json={"ttl": 601}), "403 forbidden")
        assert agent.post(f"{path}/renew", json={"ttl": 600}).json()["ttl"] == 600
        assert api.post(f"{path}/renew", json={"ttl": 7200}).json()["ttl"] == 7200
        assert agent.post(f"{path}/renew", json={"ttl": 7200}).json()["ttl"] == 7200
        for ttl in (59, 0, -1, 366 * 24 * 3600 + 1):
            answer = api.post(f"{path}/renew", json={"ttl": ttl})
            refused(answer, "400 ttl_invalid")
