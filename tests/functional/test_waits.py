"""Blocked reads over HTTP: they are shown at every service, with their members, until they end."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

from tests.eventually import eventually
from tests.grants import issue
from tests.http import Caller
from tests.service import ApiServer


def edges(found: dict[str, Any]) -> list[tuple[str, str, str, int]]:
    """Return the waits as who, for what, whose, and how many."""
    return [
        (*wait["who"].values(), *wait["for"].values(), wait["owner"], wait["count"])
        for wait in found["waits"]
    ]


def test_readers_that_wait_for_each_other_are_found_by_another_service(
    one_worker: ApiServer, two_workers: ApiServer, stack: str
) -> None:
    with (
        Caller(one_worker.url) as owner,
        Caller(two_workers.url) as other,
        ThreadPoolExecutor(4) as pool,
    ):
        for name in ("a", "b", "c"):
            owner.put(f"{stack}/members/{name}", json={"group": "g", "ttl": 600}).raise_for_status()
        a, b, c = (issue(owner, stack, name) for name in ("a", "b", "c"))
        readings = []

        def read(caller: Caller, target: str) -> None:
            readings.append(pool.submit(caller.get, f"{stack}/facts/{target}"))

        callers = [grant.caller(one_worker.url) for grant in (a, a, b)]
        read(callers[0], "nodes/b/key?wait=50")
        read(callers[1], "nodes/b/key?wait=50&format=raw")  # not on the fast path
        read(callers[2], "nodes/a/ip?wait=50")
        waits = [("a", "nodes/b/key", "b", 2), ("b", "nodes/a/ip", "a", 1)]
        eventually(lambda: edges(owner.get(f"{stack}/waits").json()) == waits)
        found = eventually(lambda: (seen := other.get(f"{stack}/waits").json())["stuck"] and seen)
        assert edges(found) == waits
        (circle,) = found["circles"]
        assert circle["members"] == ["a", "b"]
        assert [step["wait"] for step in circle["steps"]] == [w["id"] for w in found["waits"]]
        with c.caller(two_workers.url) as stranger, b.caller(two_workers.url) as member:
            seen = stranger.get(f"{stack}/waits").json()
            assert (seen["waits"], seen["circles"], seen["stuck"]) == ([], [], False)
            seen = member.get(f"{stack}/waits").json()
            assert edges(seen) == waits[1:]
            assert seen["circles"] == found["circles"]
        other.put(f"{stack}/facts/nodes/b/key", 1).raise_for_status()
        other.put(f"{stack}/facts/nodes/a/ip", 1).raise_for_status()
        assert [reading.result().status_code for reading in readings] == [HTTPStatus.OK] * 3
        assert other.get(f"{stack}/waits").json()["waits"] == []
        for caller in callers:
            caller.close()
