"""Reading a real keyspace at one revision, beside workers that write."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import suppress

import pytest

from factstore.core.errors import FactstoreError, NotFound, Unavailable
from factstore.core.model.condition import Definition
from factstore.core.model.fact import Delete, Put, Scope
from factstore.core.model.member import JoinRequest
from factstore.core.model.precondition import ANY
from factstore.core.operations.idempotency import Idempotency
from factstore.core.operations.signals import SignalRequest
from factstore.store import codec
from factstore.store.fsck import reader as inspecting
from factstore.store.fsck.reader import Inspection
from factstore.store.keyspace import Keyspace
from factstore.store.types import DeleteKeys, KeyValue, Operation, PutKey
from tests.contract.world import CLOCK, PROJECT, TIMEOUT, EtcdWorld, Worker, author, new_fact, soon
from tests.damage import NOTHING_WRONG, damages
from tests.unit.core.factories import stack as record_of

# The rules are tried with each damage by themselves; here with one of each kind.
NAMES = {damage.kind: name for name, damage in damages(Keyspace("/names"), record_of())}
PATHS = ["a/b", "a/c", "a-b", "n/1/ip", "n/1-x", "n/10", "n", "services/web"]


@pytest.fixture
def worker(etcd_world: EtcdWorld) -> Worker:
    return etcd_world.worker()


@pytest.fixture
def inspection(etcd_world: EtcdWorld) -> Inspection:
    return Inspection(etcd_world.raw, etcd_world.keys, CLOCK, TIMEOUT)


def plant(
    world: EtcdWorld, puts: dict[bytes, bytes | None], leased: tuple[bytes, ...] = ()
) -> None:
    """Write behind the workers' back."""
    lease = world.raw.grant(600, deadline=soon()) if leased else 0
    operations: list[Operation] = [
        DeleteKeys(key) if value is None else PutKey(key, value, lease if key in leased else 0)
        for key, value in puts.items()
    ]
    world.raw.transact([], operations, deadline=soon())


def kinds(inspection: Inspection) -> list[str]:
    return [finding.kind for finding in inspection.examine()[0].findings]


def use(worker: Worker, choose: random.Random) -> None:
    """One thing that a caller may do, refused or not."""
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
                worker.facts.batch(scope, [], batch, author())
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
def test_nothing_is_found_after_any_use(worker: Worker, inspection: Inspection, seed: int) -> None:
    choose = random.Random(seed)
    for _ in range(15):
        for _ in range(10):
            use(worker, choose)
        assert inspection.examine()[0].findings == ()


def test_what_is_counted_is_what_the_api_says(worker: Worker, inspection: Inspection) -> None:
    for n in range(3):
        worker.put(Scope("p1", "s1"), f"n/{n}", "x" * n)
    worker.put(Scope("p2", "s1"), "a", ttl=60)
    worker.members.join(Scope("p2", "s1"), "m", JoinRequest.of("g", 30, {"a": "\u20ac"}), author())
    definition = Definition.of({"success": {"signals": 2}})
    worker.waiters.put(Scope("p2", "s1"), "w", definition, author(), create_only=False)
    worker.waiters.signal(Scope("p2", "s1"), "w", SignalRequest.of({}), author())
    worker.put(Scope("p2", "gone"), "a")
    worker.stacks.delete(Scope("p2", "gone"), author())
    projects = inspection.examine()[0].projects
    for project_id, stacks, facts in (("p1", 1, 3), ("p2", 1, 4)):
        _, usage = worker.stacks.get(Scope(project_id, "s1"))
        found = projects.pop(project_id)
        assert (found.stacks, found.facts, found.bytes) == (stacks, facts, usage.bytes)
        assert usage.facts == facts
    assert projects == {}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_each_damage_is_found_in_a_real_keyspace(
    etcd_world: EtcdWorld, inspection: Inspection, name: str
) -> None:
    worker = Worker(etcd_world.backend()).start()
    worker.put(Scope(PROJECT, "slurm"), "a/b")
    worker.put(Scope("p2", "slurm"), "t", ttl=60)
    living, _ = worker.stacks.get(Scope(PROJECT, "slurm"))
    worker.stop()  # it would mend the one or other by itself
    damage = dict(damages(etcd_world.keys, living))[name]
    plant(etcd_world, damage.puts, damage.leased)
    found, _ = inspection.examine()
    assert [(f.kind, f.key) for f in found.findings] == [(damage.kind, damage.at)]


@pytest.mark.parametrize("name", NOTHING_WRONG)
def test_what_only_looks_wrong_is_not_found(
    etcd_world: EtcdWorld, worker: Worker, inspection: Inspection, name: str
) -> None:
    worker.put(Scope(PROJECT, "slurm"), "a/b")
    living, _ = worker.stacks.get(Scope(PROJECT, "slurm"))
    plant(etcd_world, dict(NOTHING_WRONG[name](etcd_world.keys, living)))
    assert kinds(inspection) == []


class Interfering:
    """A client that lets something happen before each page but the first."""

    def __init__(self, world: EtcdWorld) -> None:
        self.world = world
        self.pages = 0

    def get(self, key: bytes, end: bytes = b"", **more: object) -> object:
        if end:
            self.pages += 1
            if self.pages % 3 == 2:
                self.happen()
        return self.world.raw.get(key, end, **more)  # type: ignore[arg-type]

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
            self.world.strangers_write()
            head = self.world.raw.get(b"x", deadline=soon()).revision
            self.world.raw.compact(head, deadline=soon())


def watched_by(client: object, world: EtcdWorld) -> Inspection:
    return Inspection(client, world.keys, CLOCK, TIMEOUT)  # type: ignore[arg-type]


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(inspecting, "PAGE", 7)
    return 7


def test_all_pages_show_one_revision(
    etcd_world: EtcdWorld, worker: Worker, small_pages: int
) -> None:
    for n in range(5 * small_pages):
        worker.put(Scope(PROJECT, "slurm"), f"a/{n}")
    client = Writing(etcd_world)
    found, _ = watched_by(client, etcd_world).examine()
    assert client.pages > 5
    assert found.findings == ()
    assert (found.projects[PROJECT].stacks, found.projects[PROJECT].facts) == (1, 5 * small_pages)
    assert worker.stacks.get(Scope(PROJECT, "later"))


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_no_key_is_lost_or_read_twice_where_pages_meet(
    etcd_world: EtcdWorld, worker: Worker, inspection: Inspection, small_pages: int, more: int
) -> None:
    for n in range(3 * small_pages + more):
        worker.put(Scope(PROJECT, "slurm"), f"a/{n}")
    keys = inspection.read([etcd_world.keys.all_data], _keys_of)[0]
    assert len(keys) == len(set(keys)) == 3 * small_pages + more


def test_it_begins_anew_when_the_revision_is_compacted(
    etcd_world: EtcdWorld, worker: Worker, small_pages: int
) -> None:
    for n in range(3 * small_pages):
        worker.put(Scope(PROJECT, "slurm"), f"a/{n}")
    before = worker.backend.head(soon())
    found, revision = watched_by(Compacting(etcd_world), etcd_world).examine()
    assert revision > before
    assert found.findings == ()
    assert found.projects[PROJECT].facts == 3 * small_pages


def test_it_gives_up_when_compaction_is_always_faster(
    etcd_world: EtcdWorld, worker: Worker, small_pages: int
) -> None:
    for n in range(2 * small_pages):
        worker.put(Scope(PROJECT, "slurm"), f"a/{n}")
    client = Compacting(etcd_world)
    client.times = 100
    with pytest.raises(Unavailable, match="compacted"):
        watched_by(client, etcd_world).examine()
    assert client.times > 90


def _keys_of(items: Iterator[KeyValue]) -> list[bytes]:
    return [item.key for item in items]


# Orphans


def lost(world: EtcdWorld, stack_id: str, count: int = 3) -> dict[bytes, bytes | None]:
    return {
        world.keys.fact(PROJECT, stack_id, f"a/{n}"): codec.encode_fact(new_fact(f"a/{n}"))
        for n in range(count)
    }


def test_an_orphan_is_swept_and_all_else_stays(
    etcd_world: EtcdWorld, worker: Worker, inspection: Inspection
) -> None:
    worker.put(Scope(PROJECT, "slurm"), "a/b")
    worker.put(Scope("p2", "slurm"), "a/b")
    plant(etcd_world, lost(etcd_world, "lost") | lost(etcd_world, "lost-too"))
    found, revision = inspection.examine()
    assert [f.kind for f in found.findings] == ["orphan", "orphan"]
    assert inspection.sweep_orphans(found, revision) == found.findings
    assert kinds(inspection) == []
    worker.backend.purge_deleted(soon())
    kept = inspection.read([etcd_world.keys.all_data, etcd_world.keys.all_purges], _keys_of)[0]
    assert len(kept) == 2
    assert worker.value(Scope(PROJECT, "slurm"), "a/b") == "1"
    assert worker.value(Scope("p2", "slurm"), "a/b") == "1"


def test_only_the_orphans_of_one_project_are_swept_when_one_is_named(
    etcd_world: EtcdWorld, worker: Worker, inspection: Inspection
) -> None:
    worker.put(Scope(PROJECT, "slurm"), "a/b")
    plant(etcd_world, lost(etcd_world, "lost"))
    found, revision = inspection.examine()
    assert inspection.sweep_orphans(found, revision, "p2") == ()
    assert inspection.sweep_orphans(found, revision, PROJECT) == found.findings


@pytest.mark.parametrize(
    "name", ["a stray key x", "a stack with another format", "a fact with no JSON", "no epoch"]
)
def test_nothing_is_swept_while_anything_is_not_understood(
    etcd_world: EtcdWorld, inspection: Inspection, name: str
) -> None:
    worker = Worker(etcd_world.backend()).start()
    worker.put(Scope(PROJECT, "slurm"), "a/b")
    living, _ = worker.stacks.get(Scope(PROJECT, "slurm"))
    worker.stop()
    damage = dict(damages(etcd_world.keys, living))[name]
    orphan = etcd_world.keys.fact("p2", "lost", "a")
    plant(etcd_world, {**damage.puts, orphan: codec.encode_fact(new_fact("a"))})
    found, revision = inspection.examine()
    assert sorted(f.kind for f in found.findings) == sorted(["orphan", damage.kind])
    assert inspection.sweep_orphans(found, revision) == ()


def test_a_record_that_comes_back_meanwhile_saves_its_data(
    etcd_world: EtcdWorld, worker: Worker, inspection: Inspection
) -> None:
    scope = Scope(PROJECT, "slurm")
    worker.put(scope, "a/b")
    stack, _ = worker.stacks.get(scope)
    record = etcd_world.keys.stack(PROJECT, "slurm")
    plant(etcd_world, {record: None})
    found, revision = inspection.examine()
    assert [f.kind for f in found.findings] == ["orphan"]
    plant(etcd_world, {record: codec.encode_stack(stack)})
    assert inspection.sweep_orphans(found, revision) == ()
    assert kinds(inspection) == []


def test_in_another_life_of_the_store_nothing_is_swept(
    etcd_world: EtcdWorld, worker: Worker, inspection: Inspection
) -> None:
    worker.put(Scope(PROJECT, "slurm"), "a/b")
    plant(etcd_world, lost(etcd_world, "lost"))
    found, revision = inspection.examine()
    plant(etcd_world, {etcd_world.keys.epoch: b"ab" * 16})
    assert inspection.sweep_orphans(found, revision) == ()
