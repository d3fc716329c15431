"""Each problem that a check of the store finds, as keys to write to etcd directly."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from factstore.core.model.action import Action, ActionResult
from factstore.core.model.alarm import AlarmTimer
from factstore.core.model.blocked_reads import BlockedRead, BlockedReads
from factstore.core.model.data_key import DATA_KEY, DataKey
from factstore.core.model.delivery import DeliveryState
from factstore.core.model.event import DeletionMarker
from factstore.core.model.fact import Stack
from factstore.core.model.grant import Grant
from factstore.core.model.member import Applied
from factstore.core.model.read_set import ReadSet
from factstore.core.model.receipt import Receipt
from factstore.core.model.record import Record, RecordKey
from factstore.core.model.turn import Rank, Turn
from factstore.core.model.unnamed import unnamed_stack
from factstore.core.model.wait import Party
from factstore.store import codec
from factstore.store.keyspace import Keyspace
from tests.unit.core.factories import NOW, fact, stack
from tests.unit.core.records import alarm, member, signal, subscription, waiter

OTHER_PROJECT = "0ther"


@dataclass(frozen=True)
class Corruption:
    """Keys to write, and the finding that they result in.

    :param at: the key that the finding names.
    :param puts: keys with their records; None deletes.
    """

    kind: str
    at: bytes
    puts: dict[bytes, bytes | None]


def corruptions(keys: Keyspace, living: Stack) -> Iterator[tuple[str, Corruption]]:
    """Yield each corruption with its name, for a store whose stack *living* has a fact at ``a/b``."""
    root, project, stack_id = keys.root.encode(), living.project_id, living.id
    good, record = codec.encode_fact(fact("x")), codec.encode_stack(living)
    members = json.loads(record)

    def one(kind: str, key: bytes, value: bytes | None) -> Corruption:
        return Corruption(kind, key, {key: value})

    def at(path: str) -> bytes:
        return keys.fact(project, stack_id, path)

    def below(path: str) -> bytes:
        return root + b"/" + path.encode()

    def edited(**changes: object) -> bytes:
        return json.dumps({**members, **changes}).encode()

    yield "no epoch", one("epoch_missing", keys.epoch, None)

    for stray in (
        *("x", "epoch/x", "quotas/p/x", "stacks/p/a/b", "acts/9", "idem/p", "purges/p", "data/p/s"),
        *("stacks/a.b/a", "data/p/a.b/facts/a"),
    ):
        yield f"a stray key {stray}", one("unknown_key", below(stray), b"")
    key = below(f"data/{project}/{stack_id}/side/x")
    yield "a stray key beside facts", one("unknown_key", key, b"")
    yield "a stray key of bytes", one("unknown_key", root + b"/\xff\xfe", b"")
    for name in ("-x", "a b", "x" * 129):
        made = codec.encode_stack(stack(stack_id="named-badly"))
        yield f"a stack named {name[:9]!r}", one("unknown_key", keys.stack(project, name), made)

    for name, text in (
        ("no JSON", b"{"),
        ("bytes", b"\xff"),
        ("another format", good.replace(b'"format": 1', b'"format": 3')),
        ("no format", b"{}\n1"),
        ("a member that is no name", good.replace(b'"kind"', b'"member": [1], "kind"')),
        ("deep nesting", b"[" * 9999),
    ):
        yield f"a fact with {name}", one("unreadable", at("x"), text)
    for name, text in (
        ("no JSON", b"{"),
        ("another format", edited(format=2)),
        ("a member too many", edited(colour="red")),
        ("no id", json.dumps({k: v for k, v in members.items() if k != "id"}).encode()),
        ("a number for an id", edited(id=7)),
        ("an id that is not usable in a key", edited(id="a/b")),
        ("a list for a description", edited(description=[])),
    ):
        # The record of the living stack, so that the stack of its facts cannot be read.
        key = keys.stack(project, living.name)
        yield f"a stack with {name}", one("unreadable", key, text)
    yield "an empty act", one("unreadable", keys.act(7), b"{}")
    for name, text in (
        ("no JSON", b"{"),
        ("no results", b'{"fingerprint": ""}'),
        ("no fingerprint", b'{"results": []}'),
        ("results of another type", b'{"fingerprint": "", "results": [1]}'),
        ("another root", b"[]"),
    ):
        yield (
            f"an earlier receipt with {name}",
            one("unreadable", keys.receipt(project, "bad"), text),
        )

    lost = {keys.fact(project, "lost", path): good for path in ("a", "a/b", "-bad")}
    first = keys.fact(project, "lost", "-bad")
    yield "data of no stack", Corruption("orphan", first, {**lost})
    record_key = keys.stack(project, living.name)
    yield "a record that was lost", Corruption("orphan", at("a/b"), {record_key: None})
    key = keys.fact(OTHER_PROJECT, stack_id, "x")
    yield "data in another project", one("orphan", key, good)

    yield from corruptions_of_records(keys, living)


def corruptions_of_records(keys: Keyspace, living: Stack) -> Iterator[tuple[str, Corruption]]:
    """Yield those of members, waiters, grants and data keys."""

    def at(kind: type[Record], name: str) -> bytes:
        return keys.record(living.project_id, living.id, RecordKey(kind, name))

    def unreadable(record: Record, **changes: object) -> Corruption:
        text = json.loads(codec.encode_record(record)) | changes
        key = at(*record.record_key)
        return Corruption("unreadable", key, {key: json.dumps(text).encode()})

    def misplaced(record: Record, kind: type[Record], name: str) -> Corruption:
        key = at(kind, name)
        return Corruption("unreadable", key, {key: codec.encode_record(record)})

    joined, armed = member("m", 0), waiter("w", 0, {"signals": 1})
    given, seen, mark = signal("w", "a", 0), Applied("m", 5), DeletionMarker(5)
    grant = Grant("s-1", "agent", "m", None, "d" * 64, 60, NOW, "alice", NOW, "alice", "req-g")
    seal = DataKey("gAAAAA" + "x" * 200)

    for name, value in (("ttl", "30"), ("attributes", {}), ("state", "gone"), ("memo", {})):
        yield f"a member with another {name}", unreadable(joined, **{name: value})
    yield "a waiter without a definition", unreadable(armed, definition="{}")
    yield "a waiter of another state", unreadable(armed, state="waiting")
    for name, value in (("state", "raised"), ("definition", "{}"), ("value", "9"), ("pending", "")):
        yield f"an alarm with another {name}", unreadable(alarm("l", 0), **{name: value})
    yield "a timer of another phase", unreadable(AlarmTimer("l", "for"), phase="quiet")
    yield "a signal with another id", unreadable(given, id="b")
    yield "an applied cursor without a revision", unreadable(seen, seen="5")
    yield "a grant of another role", unreadable(grant, role="owner")
    yield "a mark without a revision", unreadable(mark, seen=None)
    yield "a mark whose deletions have no revision", unreadable(mark, deletions={"a": "5"})
    for name, value in (("facts", ["a//b"]), ("facts", ["b", "a"]), ("groups", "compute")):
        yield f"a read set with {name} {value}", unreadable(ReadSet.of("m"), **{name: value})
    blocked = BlockedReads("w", (BlockedRead(Party("member", "m"), "a", NOW),), 0)
    for entry in (
        [["member", "m"], "a", NOW],
        [["x", "m"], "a", NOW, 1],
        [["user", 1], "a", NOW, 1],
    ):
        yield f"blocked reads with {entry}", unreadable(blocked, entries=[entry])
    yield (
        "blocked reads that count text",
        unreadable(blocked, entries=[[["user", "u"], "a", NOW, "1"]]),
    )
    yield "a data key of another type", unreadable(seal, wrapped=5)
    turn = Turn("q", "m", 1, NOW, "alice", "req-t")
    yield "a turn without a limit", unreadable(turn, max_parallel=None)
    yield "a turn of another member", misplaced(turn, Turn, "q/other")
    yield "a rank of another number", misplaced(Rank("q", 1, "m"), Rank, "q/01")
    action = Action("a", "{}", "m", None, (("m", "1"),), None, 5, 60, NOW, "alice", "req-a")
    for name, value in (("members", [["m"]]), ("members", [["m", 1]]), ("definition", "[]")):
        yield f"an action with {name} {value}", unreadable(action, **{name: value})
    report = ActionResult(*("a", "m", "complete", 0, None, "", "", "", "", "{}", NOW, NOW, "req-a"))
    yield "a result whose outputs are a list", unreadable(report, outputs="[]")
    yield "a result of another member", misplaced(report, ActionResult, "a/other")
    receipt = Receipt("k" * 64, "f" * 64, "[]", NOW, "alice", "req-r")
    for text in ("[", "{}", "[1]", '[{"outcome": "created", "fact": 1}]'):
        yield f"a receipt with the results {text}", unreadable(receipt, results=text)
    yield "a waiter in a folder", unreadable(replace(armed, name="a/b"))
    yield "another mark", misplaced(mark, DeletionMarker, "other")
    yield "another data key", misplaced(seal, DataKey, "other")

    yield from _of_projects(keys, living.project_id)

    sealed = fact("x", None, sealed="1." + "x" * 80, readers=("group/head",))
    key = keys.fact(living.project_id, living.id, "x")
    lone = Corruption("sealed_without_key", at(*DATA_KEY), {key: codec.encode_fact(sealed)})
    yield "a sensitive fact without a data key", lone
    text = codec.encode_fact(replace(sealed, readers=("group/a", 7)))  # type: ignore[arg-type]
    with_key = {key: text, at(*DATA_KEY): codec.encode_record(seal)}
    yield "a reader that is no name", Corruption("unreadable", key, with_key)

    key = keys.record(living.project_id, "lost", joined.record_key)
    yield "a member of no stack", Corruption("orphan", key, {key: codec.encode_record(joined)})


def _of_projects(keys: Keyspace, project: str) -> Iterator[tuple[str, Corruption]]:
    """Yield those of records outside stacks."""

    def at(record: Record) -> bytes:
        return keys.record(project, unnamed_stack(project).id, record.record_key)

    listener, progress = subscription(), DeliveryState.first(subscription())
    for record, changes in (
        (listener, {"secrets": []}),
        (listener, {"start": "now"}),
        (listener, {"state": "gone"}),
        (progress, {"log": [{}]}),
        (progress, {"cursor": 5}),
    ):
        text = json.loads(codec.encode_record(record)) | changes
        puts: dict[bytes, bytes | None] = {at(record): json.dumps(text).encode()}
        name = f"a {type(record).__name__} with other {next(iter(changes))}"
        yield name, Corruption("unreadable", at(record), puts)
    for path in (
        f"projects/{project}/members/m",
        f"projects/{project}/owners/a/b",
        "service/owners/a",
    ):
        key = f"{keys.root}/{path}".encode()
        yield f"a stray key {path}", Corruption("unknown_key", key, {key: b""})


HARMLESS: dict[str, Callable[[Keyspace, Stack], dict[bytes, bytes]]] = {
    "the data of a deleted stack": lambda keys, living: {
        keys.purge(living.project_id, "gone"): b"",
        keys.fact(living.project_id, "gone", "-bad"): b"junk",
    },
    "the same names in another project": lambda keys, living: {
        keys.stack(OTHER_PROJECT, living.name): codec.encode_stack(stack(stack_id="another")),
        keys.fact(OTHER_PROJECT, "another", "a/b"): codec.encode_fact(fact("a/b")),
    },
    "a sensitive fact with the data key of its stack": lambda keys, living: {
        keys.fact(living.project_id, living.id, "x"): codec.encode_fact(
            fact("x", None, sealed="1." + "x" * 80, readers=("group/head", "member/c1"))
        ),
        keys.record(living.project_id, living.id, DATA_KEY): codec.encode_record(
            DataKey("gAAAAA" + "x" * 200)
        ),
    },
    "a key that an earlier version wrote": lambda keys, living: {
        keys.legacy(living.project_id): b"",
    },
}
"""Keys to add that result in no finding."""
