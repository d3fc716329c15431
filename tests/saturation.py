"""Clients that wait for nothing, until a server admits no more of them."""

from __future__ import annotations

import json
import select
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import requests

from tests.eventually import eventually
from tests.http import Caller, refused
from tests.raw_http import connect, request_bytes
from tests.streaming import Stream

WAITING = 3


@contextmanager
def saturated(url: str, stack: str, prefix: str = "") -> Iterator[int]:
    """Keep as many requests open as a server with one worker admits; yield their number.

    :param prefix: a path below which the service is served.
    """
    with ExitStack() as cleanup, Caller(url) as api:

        def waits() -> int:
            found: int = api.get(f"{prefix}/v1/limits").json()["usage"]["waiting_requests"]
            return found

        api.put(f"{prefix}{stack}", json={}).raise_for_status()
        waiting = [cleanup.enter_context(connect(url)) for _ in range(WAITING)]
        for each in waiting:
            each.sendall(request_bytes("GET", f"{prefix}{stack}/facts/never?wait=50"))
        eventually(lambda: waits() == WAITING)
        streams = 0
        while True:
            stream = cleanup.enter_context(Stream(url, f"{prefix}{stack}/events"))
            if stream.answer.status != requests.codes.ok:
                break
            streams += 1
        error = json.loads(stream.answer.read())["errors"][0]
        assert error["code"] == "contextualization.worker_busy"
        assert int(stream.answer.headers["Retry-After"]) > 0
        refused(api.get(f"{prefix}{stack}/facts/never?wait=50"), "503 worker_busy")
        yield WAITING + streams
        assert not select.select(waiting, [], [], 0)[0], "those that were admitted still wait"
