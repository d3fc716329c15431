"""Checking and repairing a real store while workers write to it."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import suppress

import pytest

from factstore.core.errors import FactstoreError, NotFound, Unavailable
from factstore.core.model.definition import Definition
from factstore.core.model.fact import Delete, Put, Scope
from factstore.core.model.member import JoinRequest
from factstore.core.model.precondition import ANY
from factstore.core.operations.idempotency import Idempotency
from factstore.core.operations.signals import SignalRequest
from factstore.store import codec
from factstore.store.fsck import reader as fsck_reader
from factstore.store.fsck.reader import StoreReader
from factstore.store.fsck.repair import StoreRepair
from factstore.store.keyspace import Keyspace
from factstore.store.types import DeleteKeys, KeyValue, Operation, PutKey, Txn
from tests.contract.world import CLOCK, PROJECT, TIMEOUT, EtcdWorld, Worker, author, new_fact, soon
from tests.corruptions import HARMLESS, corruptions
from tests.unit.core.factories import stack as record_of

# The unit tests of the checker try every corruption; these tests try one of each kind.
NAMES = {made.kind: name for name, made in corruptions(Keyspace("/names"), record_of())}
PATHS = ["a/b", "a/c", "a-b", "n/1/ip", "n/1-x", "n/10", "n", "services/web"]


@pytest.fixture
def worker(etcd_world: EtcdWorld) -> Worker:
    return etcd_world.worker()


@pytest.fixture
def reader(etcd_world: EtcdWorld) -> StoreReader:
    return StoreReader(etcd_world.raw, etcd_world.keys, CLOCK, TIMEOUT)


@pytest.fixture
def repair(etcd_world: EtcdWorld, reader: StoreReader) -> StoreRepair:
    return StoreRepair(etcd_world.raw, etcd_world.keys, reader)


def write_to_etcd(world: EtcdWorld, puts: dict[bytes, bytes | None]) -> None:
    """Write keys that the workers did not write themselves."""
    operations: list[Operation] = [
        DeleteKeys(key) if value is None else PutKey(key, value) for key, value in puts.items()
    ]
    world.raw.transact(Txn([], operations), deadline=soon())


def kinds(reader: StoreReader) -> list[str]:
    return [finding.kind for finding in reader.check().findings]


def use(worker: Worker, choose: random.Random) -> None:
    """Send one request, which may be refused."""
    scope = Scope(choose.choice(["p1", "p2"]), choose.choice(["slurm", "paas"]))
    path = choose.choice(PATHS)
    key = hashlib.sha256(choose.choice("xyz").encode()).hexdigest()
    try:
        match choose.randrange(14):
            case 0:
                worker.stacks.delete(scope, author())
            case 1:
                worker.stacks.put(scope, choose.choice("xyz"), author())
            case 2:
                worker.delete(scope, path)
            case 3:
                worker.put(scope, path, choose.random(), ttl=choose.choice([60, 600, None]))
            case 4:
                worker.put(scope, path, 1, idempotency=Idempotency(key, path))
            case 5:
                batch = [Put.of(path, [{}, None, "\u20ac"]), Delete(choose.choice(PATHS))]
                worker.facts.batch(scope, batch, [], author())
            case 6:
                worker.backend.purge_deleted(soon())
            case 7:
                worker.put(scope, path, choose.random(), kind="parameter")
            case 8 | 9:
                worker.members.join(scope, choose.choice("ab"), JoinRequest.of("g"), author())
            case 10:
                bound = Put.of(path, choose.random(), member=choose.choice("ab"))
                worker.facts.put(scope, bound, author(), ANY)
            case 11:
                worker.members.depart(scope, choose.choice("ab"), "left", None, author())
            case 12:
                definition = Definition.of({"success": {"signals": choose.choice([1, 2])}})
                name = choose.choice("vw")
                worker.waiters.put(scope, name, definition, author(), create_only=False)
            case 13:
                wish = SignalRequest.of({"id": choose.choice("xy"), "data": [choose.random()]})
                worker.waiters.signal(scope, choose.choice("vw"), wish, author())
    except FactstoreError:
        pass


@pytest.mark.parametrize("seed", range(4))
def test_requests_never_result_in_findings(worker: Worker, reader: StoreReader, seed: int) -> None:
    choose = random.Random(seed)
    for _ in range(15):
        for _ in range(10):
            use(worker, choose)
        assert reader.check().findings == ()


def test_the_usage_is_that_of_the_api(worker: Worker, reader: StoreReader) -> None:
    for n in range(3):
        worker.put(Scope("p1", "s1"), f"n/{n}", "x" * n)
    worker.put(Scope("p2", "s1"), "a", ttl=60)
    worker.members.join(Scope("p2", "s1"), "m", JoinRequest.of("g", 30, {"a": "\u20ac"}), author())
    definition = Definition.of({"success": {"signals": 2}})
    worker.waiters.put(Scope("p2", "s1"), "w", definition, author(), create_only=False)
    worker.waiters.signal(Scope("p2", "s1"), "w", SignalRequest.of({}), author())
    worker.put(Scope("p2", "gone"), "a")
    worker.stacks.delete(Scope("p2", "gone"), author())
    projects = reader.check().projects
    for project_id, stacks, facts in (("p1", 1, 3), ("p2", 1, 4)):
        usage = worker.stacks.get(Scope(project_id, "s1")).usage
        found = projects.pop(project_id)
        assert (len(found.stacks), found.facts, found.bytes) == (stacks, facts, usage.bytes)
        assert usage.facts == facts
    assert projects == {}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_each_kind_of_corruption_is_found_in_etcd(
    etcd_world: EtcdWorld, reader: StoreReader, name: str
) -> None:
    worker = Worker(etcd_world.backend()).start()
    worker.put(Scope(PROJECT, "slurm"), "a/b")
    worker.put(Scope("p2", "slurm"), "t", ttl=60)
    living = worker.stacks.get(Scope(PROJECT, "slurm")).stack
    worker.stop()  # it would repair some corruptions by itself
    made = dict(corruptions(etcd_world.keys, living))[name]
    write_to_etcd(etcd_world, made.puts)
    found = reader.check().findings
    assert [(finding.kind, finding.key) for finding in found] == [(made.kind, made.at)]


def test_harmless_keys_result_in_no_finding(
    etcd_world: EtcdWorld, worker: Worker, reader: StoreReader
) -> None:
    worker.put(Scope(PROJECT, "slurm"), "a/b")
    living = worker.stacks.get(Scope(PROJECT, "slurm")).stack
    for name, make in HARMLESS.items():
        write_to_etcd(etcd_world, dict(make(etcd_world.keys, living)))
        assert kinds(reader) == [], name


class Interfering:
    """A client that calls :meth:`happen` before some of the pages."""

    def __init__(self, world: EtcdWorld) -> None:
        self.world = world
        self.pages = 0

    def get(self, key: bytes, end: bytes = b"", **more: object) -> object:
        if end:
            self.pages += 1
            if self.pages % 3 == 2:
                self.happen()
        return self.world.raw.get(key, end, **more)  # type: ignore[arg-type]

    def leases(self, deadline: float) -> list[int]:
        return []

    def happen(self) -> None: ...


class Writing(Interfering):
    def happen(self) -> None:
        worker = self.world.worker()
        worker.put(Scope(PROJECT, "later"), f"a/{self.pages}")
        with suppress(NotFound):
            worker.stacks.delete(Scope(PROJECT, "slurm"), author())
        worker.backend.purge_deleted(soon())


class Compacting(Interfering):
    times = 1

    def happen(self) -> None:
        if self.times:
            self.times -= 1
            self.world.write_foreign_key()
            head = self.world.raw.get(b"x", deadline=soon()).revision
            self.world.raw.compact(head, deadline=soon())


def reader_with(client: object, world: EtcdWorld) -> StoreReader:
    return StoreReader(client, world.keys, CLOCK, TIMEOUT)  # type: ignore[arg-type]


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(fsck_reader, "PAGE", 7)
    return 7


def test_all_pages_show_one_revision(
    etcd_world: EtcdWorld, worker: Worker, small_pages: int
) -> None:
    for n in range(5 * small_pages):
        worker.put(Scope(PROJECT, "slurm"), f"a/{n}")
    client = Writing(etcd_world)
    report = reader_with(client, etcd_world).check()
    assert client.pages > 5
    assert report.findings == ()
    project = report.projects[PROJECT]
    assert (len(project.stacks), project.facts) == (1, 5 * small_pages)
    assert worker.stacks.get(Scope(PROJECT, "later"))


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_no_key_is_lost_or_read_twice_where_pages_meet(
    etcd_world: EtcdWorld, worker: Worker, reader: StoreReader, small_pages: int, more: int
) -> None:
    for n in range(3 * small_pages + more):
        worker.put(Scope(PROJECT, "slurm"), f"a/{n}")
    keys = reader.read([etcd_world.keys.all_data], _keys_of)[0]
    assert len(keys) == len(set(keys)) == 3 * small_pages + more


def test_the_check_starts_again_if_its_revision_is_compacted(
    etcd_world: EtcdWorld, worker: Worker, small_pages: int
) -> None:
    for n in range(3 * small_pages):
        worker.put(Scope(PROJECT, "slurm"), f"a/{n}")
    before = worker.backend.head(soon())
    report = reader_with(Compacting(etcd_world), etcd_world).check()
    assert report.revision > before
    assert report.findings == ()
    assert report.projects[PROJECT].facts == 3 * small_pages


def test_the_check_fails_if_etcd_is_always_compacted_faster(
    etcd_world: EtcdWorld, worker: Worker, small_pages: int
) -> None:
    for n in range(2 * small_pages):
        worker.put(Scope(PROJECT, "slurm"), f"a/{n}")
    client = Compacting(etcd_world)
    client.times = 100
    with pytest.raises(Unavailable, match="compacted"):
        reader_with(client, etcd_world).check()
    assert client.times > 90


def _keys_of(items: Iterator[KeyValue]) -> list[bytes]:
    return [item.key for item in items]


# Repair


def lost(world: EtcdWorld, stack_id: str, count: int = 3) -> dict[bytes, bytes | None]:
    return {
        world.keys.fact(PROJECT, stack_id, f"a/{n}"): codec.encode_fact(new_fact(f"a/{n}"))
        for n in range(count)
    }


def test_a_repair_deletes_orphans_and_keeps_other_data(
    etcd_world: EtcdWorld, worker: Worker, reader: StoreReader, repair: StoreRepair
) -> None:
    worker.put(Scope(PROJECT, "slurm"), "a/b")
    worker.put(Scope("p2", "slurm"), "a/b")
    write_to_etcd(etcd_world, lost(etcd_world, "lost") | lost(etcd_world, "lost-too"))
    report = reader.check()
    assert [finding.kind for finding in report.findings] == ["orphan", "orphan"]
    assert repair.repair(report) == report.findings
    assert kinds(reader) == []
    worker.backend.purge_deleted(soon())
    kept = reader.read([etcd_world.keys.all_data, etcd_world.keys.all_purges], _keys_of)[0]
    assert len(kept) == 2
    assert worker.value(Scope(PROJECT, "slurm"), "a/b") == "1"
    assert worker.value(Scope("p2", "slurm"), "a/b") == "1"


def test_a_repair_deletes_the_keys_of_earlier_versions(
    etcd_world: EtcdWorld, worker: Worker, reader: StoreReader, repair: StoreRepair
) -> None:
    worker.put(Scope(PROJECT, "slurm"), "a/b")
    legacy = [etcd_world.keys.legacy(PROJECT), etcd_world.keys.legacy("p2")]
    write_to_etcd(etcd_world, dict.fromkeys(legacy, b""))
    report = reader.check()
    assert report.projects["p2"].legacy == 1
    assert repair.repair(report) == report.findings == ()
    assert set(legacy).isdisjoint(reader.read([etcd_world.keys.everything], _keys_of)[0])
    assert worker.value(Scope(PROJECT, "slurm"), "a/b") == "1"


def test_the_orphans_of_one_project_can_be_marked_alone(
    etcd_world: EtcdWorld, worker: Worker, reader: StoreReader, repair: StoreRepair
) -> None:
    worker.put(Scope(PROJECT, "slurm"), "a/b")
    write_to_etcd(etcd_world, lost(etcd_world, "lost"))
    report = reader.check()
    assert repair.mark_orphans(report, "p2") == ()
    assert repair.mark_orphans(report, PROJECT) == report.findings


@pytest.mark.parametrize(
    "name", ["a stray key x", "a stack with another format", "a fact with no JSON", "no epoch"]
)
def test_nothing_is_repaired_while_anything_is_unknown(
    etcd_world: EtcdWorld, reader: StoreReader, repair: StoreRepair, name: str
) -> None:
    worker = Worker(etcd_world.backend()).start()
    worker.put(Scope(PROJECT, "slurm"), "a/b")
    living = worker.stacks.get(Scope(PROJECT, "slurm")).stack
    worker.stop()
    made = dict(corruptions(etcd_world.keys, living))[name]
    orphan, legacy = etcd_world.keys.fact("p2", "lost", "a"), etcd_world.keys.legacy("p2")
    write_to_etcd(etcd_world, {**made.puts, orphan: codec.encode_fact(new_fact("a")), legacy: b""})
    report = reader.check()
    assert sorted(f.kind for f in report.findings) == sorted(["orphan", made.kind])
    assert repair.repair(report) == ()
    assert legacy in reader.read([etcd_world.keys.everything], _keys_of)[0]


def test_data_are_kept_if_the_record_of_their_stack_is_restored_before_the_repair(
    etcd_world: EtcdWorld, worker: Worker, reader: StoreReader, repair: StoreRepair
) -> None:
    scope = Scope(PROJECT, "slurm")
    worker.put(scope, "a/b")
    stack = worker.stacks.get(scope).stack
    record = etcd_world.keys.stack(PROJECT, "slurm")
    write_to_etcd(etcd_world, {record: None})
    report = reader.check()
    assert [finding.kind for finding in report.findings] == ["orphan"]
    write_to_etcd(etcd_world, {record: codec.encode_stack(stack)})
    assert repair.repair(report) == ()
    assert kinds(reader) == []


def test_no_orphan_is_marked_if_the_store_was_replaced(
    etcd_world: EtcdWorld, worker: Worker, reader: StoreReader, repair: StoreRepair
) -> None:
    worker.put(Scope(PROJECT, "slurm"), "a/b")
    write_to_etcd(etcd_world, lost(etcd_world, "lost"))
    report = reader.check()
    write_to_etcd(etcd_world, {etcd_world.keys.epoch: b"ab" * 16})
    assert repair.repair(report) == ()
