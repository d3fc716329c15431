"""Waiting for a server to be ready, and asking it for what tests need."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from tests.faults.checker import Held
from tests.faults.plain_http import Answer, Caller, Lost, fact_url
from tests.faults.watchers import read_facts
from tests.service import ApiServer

TRIES = 1200
PAUSE = 0.05


def until_answered(server: ApiServer, request: Callable[[Caller], Answer]) -> Answer:
    """Ask again while nothing is known or nothing can be done now."""
    answer = None
    for _ in range(TRIES):
        with Caller(server.url) as caller:
            try:
                answer = request(caller)
            except Lost:
                answer = None
        if answer is not None and answer.status not in {503, 504}:
            return answer
        threading.Event().wait(PAUSE)
    raise AssertionError(f"{server.url} does not come back: {answer}")


def ask(server: ApiServer, method: str, path: str, body: object = None, **headers: str) -> Answer:
    """One request, repeated until it is answered."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return until_answered(server, lambda caller: caller.call(method, path, body, sent))


def put(server: ApiServer, stack: str, path: str, value: object, **more: object) -> dict[str, Any]:
    """Put for certain; the fact."""
    answer = ask(server, "PUT", fact_url(stack, path), {"value": value, **more})
    assert answer.status in {200, 201}, answer
    fact: dict[str, Any] = answer.json()
    return fact


def page(server: ApiServer, stack: str) -> dict[str, Any]:
    """All facts of a stack, as they are listed."""
    answer = ask(server, "GET", f"/v1/stacks/{stack}/facts?limit=1000")
    assert answer.status == 200, answer
    found: dict[str, Any] = answer.json()
    return found


def listed(server: ApiServer, stack: str) -> dict[str, Held]:
    """The same as the checker knows them."""
    return read_facts(page(server, stack)["facts"])
