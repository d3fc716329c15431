"""Hundreds of clients that write a batch each, at the same moment.

The clients are threads with plain connections, because the test must not take longer than the service.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http import HTTPStatus
from urllib.parse import urlsplit

import pytest

from factstore.cmd.processes.etcd import EtcdServer
from tests.functional.test_metrics import scrape, value
from tests.http import Caller
from tests.service import ApiServer, check_log

CLIENTS = 200
FACTS = 10
PATIENCE = 60  # the writes' own time limit; a busy machine is not what this tests


@pytest.fixture(scope="module", params=[1, 2], ids=["one worker", "two workers"])
def server(
    request: pytest.FixtureRequest, etcd: EtcdServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ApiServer]:
    state, options = tmp_path_factory.mktemp("api"), {"etcd": {"timeout": PATIENCE}}
    with ApiServer([etcd.endpoint], state, workers=request.param, options=options) as made:
        yield made
        check_log(made)


def write_at_once(api: Caller, stack: str, path: Callable[[int, int], str]) -> Counter[int]:
    """Send all batches at the same moment; return how often each status was received."""
    statuses: Counter[int] = Counter()
    together = threading.Barrier(CLIENTS)
    address = urlsplit(api.url).netloc

    def write(client: int) -> None:
        puts = [{"put": {"path": path(client, n), "value": client}} for n in range(FACTS)]
        connection = http.client.HTTPConnection(address, timeout=2 * PATIENCE)
        # The worker of this connection knows the stack then; one that does not would create it.
        connection.request("GET", stack)
        connection.getresponse().read()
        together.wait(PATIENCE)
        headers = {"Content-Type": "application/json"}
        connection.request("POST", f"{stack}/batch", json.dumps({"operations": puts}), headers)
        response = connection.getresponse()
        response.read()
        connection.close()
        statuses[response.status] += 1

    threads = [threading.Thread(target=write, args=(client,)) for client in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


def retries(api: Caller) -> float:
    return value(scrape(api), "write_retries_total")


def test_batches_in_folders_of_their_own_succeed_without_a_retry(api: Caller, stack: str) -> None:
    api.put(stack, json={})
    before = retries(api)
    statuses = write_at_once(api, stack, lambda client, n: f"nodes/n{client}/k{n}")
    assert statuses == {HTTPStatus.OK: CLIENTS}
    assert retries(api) == before
    assert api.get(stack).json()["usage"]["facts"] == CLIENTS * FACTS


def test_batches_in_one_folder_succeed_without_a_retry(api: Caller, stack: str) -> None:
    api.put(stack, json={})
    before = retries(api)
    statuses = write_at_once(api, stack, lambda client, n: f"shared/n{client}-k{n}")
    assert statuses == {HTTPStatus.OK: CLIENTS}
    assert retries(api) == before


def test_batches_of_the_same_facts_succeed_one_after_the_other(api: Caller, stack: str) -> None:
    statuses = write_at_once(api, stack, lambda client, n: f"shared/k{n}")
    assert statuses == {HTTPStatus.OK: CLIENTS}
    facts = api.get(f"{stack}/facts").json()["facts"]
    assert [fact["version"] for fact in facts] == [CLIENTS] * FACTS
    assert len({fact["value"] for fact in facts}) == 1, "one batch was applied in part"
