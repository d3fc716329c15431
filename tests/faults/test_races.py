"""Races over HTTP between two API servers on one etcd."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from factstore.cmd.processes.etcd import EtcdServer
from tests.eventually import eventually
from tests.faults.checker import History, Scope
from tests.faults.etcd_gateway import RawEtcd
from tests.faults.ledger import Attempt, Ledger, check_attempts
from tests.faults.plain_http import Answer, Caller, fact_url, revision_of
from tests.faults.readiness import listed
from tests.faults.writers import PROJECT
from tests.http import fresh_stack
from tests.service import ApiServer, check_log

TREE_RACES = 80
EQUAL_RACES = 20
DELETIONS = 25


@pytest.fixture(scope="module")
def own_etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdServer]:
    """An etcd whose history contains these tests only."""
    etcd = EtcdServer(tmp_path_factory.mktemp("races") / "etcd")
    try:
        etcd.start()
        etcd.wait_ready()
        yield etcd
    finally:
        etcd.kill()


@pytest.fixture
def raw(own_etcd: EtcdServer) -> RawEtcd:
    return RawEtcd(own_etcd.endpoint)


@pytest.fixture(scope="module")
def servers(
    own_etcd: EtcdServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ApiServer, ApiServer]]:
    folder = tmp_path_factory.mktemp("api")
    with (
        ApiServer([own_etcd.endpoint], folder / "one") as one,
        ApiServer([own_etcd.endpoint], folder / "two") as two,
    ):
        yield one, two
        check_log(one)
        check_log(two)


@pytest.fixture
def stack(servers: tuple[ApiServer, ApiServer]) -> Iterator[str]:
    """The name of a stack, which is deleted afterwards."""
    name = fresh_stack()
    yield name
    with Caller(servers[0].url) as caller:
        assert caller.call("DELETE", f"/v1/stacks/{name}").status == 204


class Racers:
    """Threads that begin together, each with a server of its own."""

    def __init__(self, servers: Sequence[ApiServer], count: int) -> None:
        self._callers = [Caller(servers[number % 2].url) for number in range(count)]
        self._line = threading.Barrier(count)
        self._pool = ThreadPoolExecutor(count)

    def race(self, *requests: Callable[[Caller], Answer]) -> list[Answer]:
        """Send one request each at the same time."""

        def run(caller: Caller, request: Callable[[Caller], Answer]) -> Answer:
            self._line.wait(60)
            return request(caller)

        return list(self._pool.map(run, self._callers, requests))

    def __enter__(self) -> Racers:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()
        for caller in self._callers:
            caller.close()


def _put(stack: str, path: str, value: object) -> Callable[[Caller], Answer]:
    return lambda caller: caller.call("PUT", fact_url(stack, path), {"value": value})


def _update(stack: str, path: str, value: object, etag: str) -> Callable[[Caller], Answer]:
    body, match = {"value": value}, {"If-Match": etag}
    return lambda caller: caller.call("PUT", fact_url(stack, path), body, match)


def test_of_a_path_and_one_below_it_exactly_one_becomes_a_fact(
    servers: tuple[ApiServer, ApiServer], raw: RawEtcd, stack: str, scale: int
) -> None:
    won = []
    with Racers(servers, 2) as racers:
        for number in range(TREE_RACES * scale):
            name = f"x{number}"
            below = f"{name}/y" if number % 2 else f"{name}/deep/er/y"
            pair = [name, below] if number % 3 else [below, name]
            answers = racers.race(*(_put(stack, path, 1) for path in pair))
            assert sorted(answer.status for answer in answers) == [201, 409], (number, answers)
            codes = [a.json()["errors"][0]["code"] for a in answers if a.status == 409]
            assert codes[0] in {
                "contextualization.path_is_folder",
                "contextualization.path_below_fact",
            }
            won.append(pair[[answer.status for answer in answers].index(201)])
    for server in servers:
        assert set(listed(server, stack)) <= set(won)
    assert set(raw.facts(Scope(PROJECT, stack))) == set(won)
    assert len({path.count("/") > 0 for path in won}) == 2, "the same one always won: no race"


def test_equal_values_put_at_once_make_one_revision(
    servers: tuple[ApiServer, ApiServer], raw: RawEtcd, stack: str, scale: int
) -> None:
    with Racers(servers, 8) as racers:
        for number in range(EQUAL_RACES * scale):
            value = {"same": [1, number]}
            answers = racers.race(*[_put(stack, f"p{number}", value)] * 8)
            assert sorted(answer.status for answer in answers) == [200] * 7 + [201]
            assert len({answer.json()["revision"] for answer in answers}) == 1
            assert len({answer.etag for answer in answers}) == 1
            assert sum("factstore-unchanged" in answer.headers for answer in answers) == 7
    history = History(raw.keyspace)
    raw.witness(history)
    changes = [change for told in history.events[Scope(PROJECT, stack)].values() for change in told]
    assert sorted(str(change.path) for change in changes) == sorted(
        f"p{number}" for number in range(EQUAL_RACES * scale)
    )


def test_of_several_updates_with_one_etag_one_succeeds(
    servers: tuple[ApiServer, ApiServer], stack: str, scale: int
) -> None:
    with Racers(servers, 8) as racers:
        etag = racers.race(*[_put(stack, "c", 0)] * 8)[0].etag
        for number in range(EQUAL_RACES * scale):
            racing = [_update(stack, "c", f"{number}-{racer}", etag) for racer in range(8)]
            answers = racers.race(*racing)
            assert sorted(answer.status for answer in answers) == [200] + [412] * 7
            etag = next(answer.etag for answer in answers if answer.status == 200)
            assert {answer.etag for answer in answers} == {etag}, "losers receive the current tag"


def test_deleting_stacks_under_writers_leaves_no_key_behind(
    servers: tuple[ApiServer, ApiServer], raw: RawEtcd, scale: int
) -> None:
    stacks = [f"d{number}" for number in range(3)]
    ledger = Ledger()
    stopping = threading.Event()
    complaints: list[str] = []

    def write(number: int) -> None:
        with Caller(servers[number % 2].url) as caller:
            count = 0
            while not stopping.is_set():
                count += 1
                stack, path, value = stacks[count % 3], f"f/{count % 50}", f"{number}-{count}"
                answer = caller.call("PUT", fact_url(stack, path), {"value": value})
                if answer.status not in {200, 201}:
                    complaints.append(f"{answer.status}: {answer.body!r}")
                    return
                revision = revision_of(answer.headers["factstore-cursor"])
                ledger.note(Attempt(Scope(PROJECT, stack), {path: value}, (), "done", revision))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    try:
        with Caller(servers[0].url) as caller:
            for number in range(DELETIONS * scale):
                target = ledger.done + 10
                eventually(lambda t=target: ledger.done >= t or complaints)
                answer = caller.call("DELETE", f"/v1/stacks/{stacks[number % 3]}")
                assert answer.status in {204, 404}, answer
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
    assert complaints == []
    with Caller(servers[1].url) as caller:
        for stack in stacks:
            assert caller.call("DELETE", f"/v1/stacks/{stack}").status in {204, 404}
    keys = raw.keyspace
    assert raw.keys(keys.all_stacks) == {}
    eventually(lambda: not raw.keys(keys.all_data) and not raw.keys(keys.all_purges), 60)
    history = History(keys)
    raw.witness(history)
    assert check_attempts(history, ledger.attempts) == []
    assert all(history.state(Scope(PROJECT, stack)) == {} for stack in stacks)
