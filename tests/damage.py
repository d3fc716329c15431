"""Each thing that can be wrong below the root, as keys to write there behind the service's back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from factstore.core.model.data_key import DATA_KEY, DataKey
from factstore.core.model.event import DeletionAuthor, DeletionMarker, Record
from factstore.core.model.fact import Stack
from factstore.core.model.grant import Grant
from factstore.core.model.member import Applied
from factstore.core.model.record_key import RecordKey, RecordKindName
from factstore.core.model.waiter import Progress, Timer
from factstore.store import codec
from factstore.store.keyspace import Keyspace
from tests.unit.core.factories import NOW, fact, stack
from tests.unit.core.records import member, signal, waiter

OTHER_PROJECT = "0ther"


@dataclass(frozen=True)
class Damage:
    """What to put, and what is to be found then.

    :param at: the key that the finding names.
    :param puts: keys with their records; None deletes.
    :param leased: keys among them that hang on a lease.
    """

    kind: str
    at: bytes
    puts: dict[bytes, bytes | None]
    leased: tuple[bytes, ...] = ()


def damages(keys: Keyspace, living: Stack) -> Iterator[tuple[str, Damage]]:
    """Every one by its name, done to a store in which the stack *living* has a fact at ``a/b``."""
    root, project, stack_id = keys.root.encode(), living.project_id, living.id
    good, record = codec.encode_fact(fact("x")), codec.encode_stack(living)
    members = json.loads(record)

    def one(kind: str, key: bytes, value: bytes | None, *, leased: bool = False) -> Damage:
        return Damage(kind, key, {key: value}, (key,) if leased else ())

    def at(path: str) -> bytes:
        return keys.fact(project, stack_id, path)

    def below(path: str) -> bytes:
        return root + b"/" + path.encode()

    def edited(**changes: object) -> bytes:
        return json.dumps({**members, **changes}).encode()

    yield "no epoch", one("epoch_missing", keys.epoch, None)
    yield "an epoch of another kind", one("epoch_malformed", keys.epoch, b"first")
    yield "an epoch on a lease", one("lease_unexpected", keys.epoch, b"ab" * 16, leased=True)
    yield "a compactor without a number", one("compactor_malformed", keys.compactor, b"now")

    for stray in (
        *("x", "epoch/x", "quotas/p/x", "stacks/p/a/b", "acts/9", "idem/p", "purges/p", "data/p/s"),
        *("stacks/a.b/a", "data/p/a.b/facts/a"),
    ):
        yield f"a stray key {stray}", one("unknown_key", below(stray), b"")
    key = below(f"data/{project}/{stack_id}/side/x")
    yield "a stray key beside facts", one("unknown_key", key, b"")
    yield "a stray key of bytes", one("unknown_key", root + b"/\xff\xfe", b"")

    for name, text in (
        ("no JSON", b"{"),
        ("bytes", b"\xff"),
        ("another format", good.replace(b'"format": 1', b'"format": 3')),
        ("no format", b"{}\n1"),
        ("another kind", good.replace(b"observed", b"guessed")),
        ("a number for a name", good.replace(b'"alice"', b"7")),
        ("a ttl that is none", codec.encode_fact(replace(fact("x"), ttl=1))),
        ("a member that is none", good.replace(b'"kind"', b'"member": [1], "kind"')),
        ("a member and a ttl", codec.encode_fact(replace(fact("x"), ttl=60, member="m"))),
        ("deep nesting", b"[" * 9999),
    ):
        yield f"a fact with {name}", one("unreadable", at("x"), text)
    for name, text in (
        ("no JSON", b"{"),
        ("another format", edited(format=2)),
        ("a member too many", edited(colour="red")),
        ("no id", json.dumps({k: v for k, v in members.items() if k != "id"}).encode()),
        ("a number for an id", edited(id=7)),
        ("an id that reaches out of its place", edited(id="a/b")),
        ("a list for a description", edited(description=[])),
    ):
        # Its own record, so that its facts lie below an id that none can be read from.
        key = keys.stack(project, living.name)
        yield f"a stack with {name}", one("unreadable", key, text)
    yield "an act that is none", one("unreadable", keys.act(7), b"{}")
    for name, text in (
        ("no JSON", b"{"),
        ("no results", b'{"fingerprint": ""}'),
        ("no fingerprint", b'{"results": []}'),
        ("results that are none", b'{"fingerprint": "", "results": [1]}'),
        ("another root", b"[]"),
    ):
        key = keys.receipt(project, "bad")
        yield f"a receipt with {name}", one("unreadable", key, text, leased=True)

    head = good.partition(b"\n")[0] + b"\n"
    for text in (b"", b"{", b"{} ", b'{"b":1,"a":2}', b'{"a":1,"a":1}', b"NaN", b"1" * 70_000):
        yield f"a value {text[:9]!r}", one("value_invalid", at("x"), head + text)
    yield "a value nested too deep", one("value_invalid", at("x"), head + b"[" * 33 + b"]" * 33)
    for path in ("-x", "a//b", "a/", "e\u0301", "a b", "/".join("x" * 17), "x" * 129):
        yield f"a path {path[:9]!r}", one("path_invalid", at(path), good)
    for name in ("-x", "a b", "x" * 129):
        made = codec.encode_stack(stack(stack_id="named-badly"))
        yield f"a stack named {name[:9]!r}", one("name_invalid", keys.stack(project, name), made)

    yield "a fact above others", one("fact_and_folder", at("a"), good)
    yield "a fact below another", Damage("fact_and_folder", at("a/b"), {at("a/b/c/d"): good})
    timed = codec.encode_fact(replace(fact("x"), ttl=60))
    yield "a ttl without a lease", one("ttl_without_lease", at("x"), timed)
    yield "a lease without a ttl", one("lease_without_ttl", at("x"), good, leased=True)
    act = codec.encode_act(DeletionAuthor("s", "u", "r"))
    yield "a gate on a lease", one("lease_unexpected", keys.gate(project), b"", leased=True)
    yield "an act on a lease", one("lease_unexpected", keys.act(3), act, leased=True)
    spare = codec.encode_stack(stack(stack_id="spare"))
    key = keys.stack(project, "spare")
    yield "a stack on a lease", one("lease_unexpected", key, spare, leased=True)
    receipt = b'{"fingerprint": "f", "results": []}'
    key = keys.receipt(project, "kept")
    yield "a receipt that stays", one("receipt_without_lease", key, receipt)

    key = keys.stack(project, f"{living.name}-too")
    yield "an id twice in a project", one("id_shared", key, record)
    key = keys.stack("zz", living.name)
    yield "an id in two projects", one("id_shared", key, record)
    key = keys.purge(project, stack_id)
    yield "a purge of a living stack", one("purge_of_living", key, b"")
    lost = {keys.fact(project, "lost", path): good for path in ("a", "a/b", "-bad")}
    first = keys.fact(project, "lost", "-bad")
    yield "data of no stack", Damage("orphan", first, {**lost})
    record_key = keys.stack(project, living.name)
    yield "a record that was lost", Damage("orphan", at("a/b"), {record_key: None})
    key = keys.fact(OTHER_PROJECT, stack_id, "x")
    yield "data in another project", one("misplaced", key, good)

    yield from damages_beside_facts(keys, living)


def damages_beside_facts(keys: Keyspace, living: Stack) -> Iterator[tuple[str, Damage]]:
    """Those of members, waiters, and what belongs to them."""

    def at(kind: RecordKindName, name: str) -> bytes:
        return keys.record(living.project_id, living.id, RecordKey(kind, name))

    def one(kind: str, record: Record, *, leased: bool = True, **said: object) -> Damage:
        return many(kind, record, leased=(record,) if leased else (), said=said)

    def many(
        kind: str,
        record: Record,
        *others: Record,
        leased: tuple[Record, ...] = (),
        said: dict[str, object] | None = None,
    ) -> Damage:
        puts: dict[bytes, bytes | None] = {
            at(*made.record_key): codec.encode_record(made) for made in (record, *others)
        }
        text = json.loads(codec.encode_record(record)) | (said or {})
        puts[at(*record.record_key)] = json.dumps(text).encode()
        return Damage(
            kind, at(*record.record_key), puts, tuple(at(*made.record_key) for made in leased)
        )

    joined, armed, timer = member("m", 0), waiter("w", 0, {"signals": 1}), Timer("w")
    given, seen, mark = signal("w", "a", 0), Applied("m", 5), DeletionMarker(5)
    grant = Grant("s-1", "agent", "m", None, "d" * 64, 60, NOW, "alice", NOW, "alice", "req-g")
    seal = DataKey("gAAAAA" + "x" * 200)

    for name, value in (("ttl", "30"), ("attributes", {}), ("state", "gone"), ("memo", {})):
        yield f"a member with another {name}", one("unreadable", joined, **{name: value})
    yield (
        "what a lost member applied",
        many("unreadable", joined, seen, leased=(joined, seen), said={"group": 7}),
    )
    yield "a waiter of no definition", one("unreadable", armed, leased=False, definition="{}")
    yield (
        "a waiter that is in between",
        many("unreadable", armed, timer, given, leased=(timer,), said={"state": "waiting"}),
    )
    yield "a signal with another id", many("unreadable", given, armed, said={"id": "b"})
    yield (
        "applied without a revision",
        many("unreadable", seen, joined, leased=(seen, joined), said={"seen": "5"}),
    )
    yield "a grant for nobody knows what", one("unreadable", grant, role="owner")
    yield "a mark without a revision", one("unreadable", mark, leased=False, seen=None)

    yield "attributes that are no object", one("value_invalid", joined, attributes="[]")
    yield "attributes that are not canonical", one("value_invalid", joined, attributes='{"a": 1}')
    yield (
        "a signal's data that are no JSON",
        many("value_invalid", given, armed, said={"data": "{"}),
    )

    awaited = replace(joined, ttl=None, declared="heat:1", number=9)
    yield "an awaited member on a lease", one("lease_unexpected", awaited)
    for name, said in (
        ("no word", {"declared": None}),
        ("an empty word", {"declared": ""}),
        ("a word of other letters", {"declared": "h\u00e9at"}),
        ("a long word", {"declared": "x" * 256}),
        ("no number", {"number": 0}),
        ("a number below 0", {"number": -9}),
        ("news from the future", {"told": 10**12}),
    ):
        yield f"an awaited member with {name}", one("value_invalid", awaited, leased=False, **said)
    yield "a number beside a lease", one("value_invalid", joined, number=9)
    yield (
        "applied on a lease of who has none",
        many("record_astray", replace(seen, member="m"), awaited, leased=(seen,)),
    )
    yield "a member named badly", one("place_invalid", replace(joined, name="-x"))
    yield "a waiter in a folder", one("unreadable", replace(armed, name="a/b"), leased=False)
    key = at("mark", "other")
    yield "another mark", Damage("unreadable", key, {key: codec.encode_record(mark)})

    yield "a member that never expires", one("record_without_lease", joined, leased=False)
    yield "applied for ever", many("record_without_lease", seen, joined, leased=(joined,))
    yield "a grant that never ends", one("record_without_lease", grant, leased=False)
    yield "a timer that never ends", many("record_without_lease", timer, armed)
    yield "a waiter on a lease", one("lease_unexpected", armed)
    yield "a signal on a lease", many("lease_unexpected", given, armed, leased=(given,))
    yield "a data key that is not wrapped", one("value_invalid", seal, leased=False, wrapped="key")
    yield "a data key of another type", one("unreadable", seal, leased=False, wrapped=5)
    key = at("seal", "other")
    yield "another data key", Damage("unreadable", key, {key: codec.encode_record(seal)})
    yield "a data key on a lease", one("lease_unexpected", seal)
    key = keys.fact(living.project_id, living.id, "x")
    sealed = fact("x", None, sealed="1." + "x" * 80, readers=("group/head",))
    lone = Damage("sealed_without_key", at(*DATA_KEY), {key: codec.encode_fact(sealed)})
    yield "a sensitive fact without a data key", lone
    with_seal: dict[bytes, bytes | None] = {at(*DATA_KEY): codec.encode_record(seal)}
    for name, changes in (
        ("in the clear", {"sealed": "null"}),
        ("cut short", {"sealed": "1.xx"}),
    ):
        text = codec.encode_fact(replace(sealed, **changes))
        yield f"a sensitive fact {name}", Damage("value_invalid", key, {key: text, **with_seal})
    for name, readers in (("is none", ("head",)), ("stands twice", ("group/a", "group/a"))):
        text = codec.encode_fact(replace(sealed, readers=readers))
        yield f"a reader that {name}", Damage("unreadable", key, {key: text, **with_seal})

    yield "a mark on a lease", one("lease_unexpected", mark)

    yield "applied by nobody", one("record_astray", seen)
    yield "a timer of nobody", one("record_astray", timer)
    met = replace(armed, state="met", progress=Progress(1, 1))
    yield "a timer of a waiter that was met", many("record_astray", timer, met, leased=(timer,))
    yield "a signal to nobody", one("record_astray", given, leased=False)

    bound = codec.encode_fact(replace(fact("x"), member="m"))
    key = keys.fact(living.project_id, living.id, "x")
    member_key, text = at(*joined.record_key), codec.encode_record(joined)
    yield "a fact bound to nobody", Damage("bound_astray", key, {key: bound}, (key,))
    puts: dict[bytes, bytes | None] = {key: bound, member_key: text}
    yield "a bound fact that stays", Damage("bound_without_lease", key, puts, (member_key,))
    key = keys.record(living.project_id, "lost", joined.record_key)
    yield "a member of no stack", Damage("orphan", key, {key: text})


NOTHING_WRONG: dict[str, Callable[[Keyspace, Stack], dict[bytes, bytes]]] = {
    "a swept stack's data": lambda keys, living: {
        keys.purge(living.project_id, "gone"): b"",
        keys.fact(living.project_id, "gone", "-bad"): b"junk",
    },
    "the same names in another project": lambda keys, living: {
        keys.stack(OTHER_PROJECT, living.name): codec.encode_stack(stack(stack_id="another")),
        keys.fact(OTHER_PROJECT, "another", "a/b"): codec.encode_fact(fact("a/b")),
    },
    "a sensitive fact with its stack's data key": lambda keys, living: {
        keys.fact(living.project_id, living.id, "x"): codec.encode_fact(
            fact("x", None, sealed="1." + "x" * 80, readers=("group/head", "member/c1"))
        ),
        keys.record(living.project_id, living.id, DATA_KEY): codec.encode_record(
            DataKey("gAAAAA" + "x" * 200)
        ),
    },
    "names that sort between a folder and what lies below it": lambda keys, living: {
        keys.fact(living.project_id, living.id, path): codec.encode_fact(fact(path))
        for path in ("a-b", "a.b", "a0", "b", "a/b-c", "a/b.c/d")
    },
}
"""Keys to add that are as they should be, though a rule might take them for damage."""
