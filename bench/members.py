"""Members by the thousand, joined over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from bench.caller import Caller
from bench.lab import Lab
from factstore.core.model.pulse import pulse_lease

CALLERS = 8  # threads that join members


def join(
    lab: Lab,
    stack: str,
    names: Iterable[str],
    *,
    ttl: int,
    group: str = "compute",
    leases: list[int] | None = None,
) -> dict[str, str]:
    """Join members and return their generations by name.

    :param leases: receives the lease of each member's heartbeats as soon as it exists.
    """
    own = threading.local()

    def one(name: str) -> tuple[str, str]:
        caller: Caller = getattr(own, "caller", None) or lab.caller()
        own.caller = caller
        path = f"/v1/stacks/{stack}/members/{name}"
        answer = caller.request("PUT", path, {"group": group, "ttl": ttl})
        generation: str = answer.json()["generation"]
        if leases is not None:
            leases.append(lease_of(generation))
        return name, generation

    with ThreadPoolExecutor(CALLERS) as callers:
        return dict(callers.map(one, names))


def lease_of(generation: str) -> int:
    """Return the lease in etcd that the heartbeats of a generation renew."""
    return pulse_lease(int(generation, 16))


def names(lab: Lab, stack: str) -> list[str]:
    """Return the names of all members."""
    found: list[str] = []
    with lab.caller() as caller:
        link: str | None = f"/v1/stacks/{stack}/members?limit=1000"
        while link:
            page = caller.request("GET", link).json()
            found += [member["name"] for member in page["members"]]
            link = next((each["href"] for each in page["links"] if each["rel"] == "next"), None)
    return found
