"""The rules by themselves: each damage is found once, and nothing else is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factstore.core.model.event import DeletionAuthor, DeletionMarker, Record
from factstore.core.model.member import Applied, Member
from factstore.core.model.path import ancestors
from factstore.core.model.waiter import Progress, Signal, Timer, Waiter
from factstore.store import codec
from factstore.store.fsck.checker import examine
from factstore.store.fsck.findings import ADVICE, Examination, Usage
from factstore.store.keyspace import Keyspace
from factstore.store.types import KeyValue
from tests.damage import NOTHING_WRONG, Damage, damages
from tests.unit.core.factories import PROJECT, fact, stack
from tests.unit.core.records import member, signal, waiter
from tests.unit.core.test_path import paths

KEYS = Keyspace("/factstore/v1")
LIVING = stack()
LEASE = 7
DAMAGES = dict(damages(KEYS, LIVING))
BESIDE: list[Record] = [
    member("c1", 0),
    member("gone", 0, state="departed", reason="left"),
    member("awaited", 0, 0, ttl=None, declared="heat:1", number=9),
    Applied("awaited", 5),
    member("left", 0, ttl=None, declared="heat:2", number=9, state="departed", reason="left"),
    member("adopted", 0, declared="heat:3"),
    member("noted", 0, declared="heat:4", told=1),
    Applied("c1", 5),
    waiter("ready", 0, {"signals": 2}),
    replace(waiter("met", 0, {"signals": 1}), state="met", progress=Progress(1, 1)),
    Timer("ready"),
    signal("ready", "\u20ac", 0),
    signal("met", "a", 0),
    DeletionMarker(5),
]
COUNTED = [record for record in BESIDE if isinstance(record, Member | Waiter | Signal)]

SOUND: dict[bytes, bytes] = {
    KEYS.epoch: b"0123456789abcdef" * 2,
    KEYS.sentinel: b"",
    KEYS.compactor: b"17",
    KEYS.act(0): codec.encode_act(DeletionAuthor("s1", "u", "r", ("a",))),
    KEYS.stack(PROJECT, "slurm"): codec.encode_stack(LIVING),
    KEYS.stack(PROJECT, "empty"): codec.encode_stack(stack(stack_id="s2")),
    KEYS.stack(PROJECT, "peopled"): codec.encode_stack(stack(stack_id="s3")),
    KEYS.fact(PROJECT, "s1", "a/b"): codec.encode_fact(fact("a/b", "\u20ac")),
    KEYS.fact(PROJECT, "s1", "t"): codec.encode_fact(fact("t", ttl=60)),
    KEYS.fact(PROJECT, "s3", "u"): codec.encode_fact(fact("u", member="c1")),
    **{
        KEYS.record(PROJECT, "s3", record.record_key): codec.encode_record(record)
        for record in BESIDE
    },
    KEYS.receipt(PROJECT, "r"): b'{"fingerprint": "f", "results": []}',
    KEYS.purge("other", "s9"): b"",
    KEYS.gate("third"): b"",
}
LEASED = {
    KEYS.fact(PROJECT, "s1", "t"),
    KEYS.fact(PROJECT, "s3", "u"),
    KEYS.receipt(PROJECT, "r"),
    *(
        KEYS.record(PROJECT, "s3", record.record_key)
        for record in BESIDE
        if isinstance(record, Member | Applied | Timer) and "awaited" not in record.record_key.name
    ),
}


def found_in(records: dict[bytes, bytes], leased: set[bytes]) -> Examination:
    items = [
        KeyValue(key, records[key], 1, 2, 1, LEASE if key in leased else 0)
        for key in sorted(records)
    ]
    return examine(items, KEYS)


def after(damage: Damage) -> Examination:
    records = dict(SOUND)
    for key, value in damage.puts.items():
        records.pop(key, None)
        if value is not None:
            records[key] = value
    return found_in(records, LEASED - damage.puts.keys() | set(damage.leased))


def test_in_a_sound_store_nothing_is_found_and_everything_is_counted() -> None:
    found = found_in(SOUND, LEASED)
    assert found.findings == ()
    assert found.understood
    assert found.life == SOUND[KEYS.epoch]
    size = len("a/b") + len('"\u20ac"'.encode()) + 2 * len("t1")
    size += sum(record.size for record in COUNTED)
    held = Usage(3, 3 + len(COUNTED), size, 1)
    assert found.projects == {"other": Usage(), "third": Usage(), PROJECT: held}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damage_is_found_once_and_nothing_else_is(name: str) -> None:
    damage = DAMAGES[name]
    assert [(f.kind, f.key) for f in after(damage).findings] == [(damage.kind, damage.at)]


@pytest.mark.parametrize("name", NOTHING_WRONG)
def test_what_only_looks_wrong_is_not_found(name: str) -> None:
    assert found_in(SOUND | NOTHING_WRONG[name](KEYS, LIVING), LEASED).findings == ()


def test_there_is_a_damage_for_each_kind_and_each_kind_has_its_advice() -> None:
    assert {damage.kind for damage in DAMAGES.values()} == set(ADVICE)
    for damage in DAMAGES.values():
        assert after(damage).findings[0].advice


def test_damages_do_not_hide_one_another() -> None:
    together = [
        DAMAGES[name]
        for name in (
            *("no epoch", "a stray key x", "a fact above others", "a path '-x'"),
            *("data of no stack", "an act that is none", "a receipt that stays"),
        )
    ]
    records = dict(SOUND)
    for damage in together:
        for key, value in damage.puts.items():
            records.pop(key, None)
            if value is not None:
                records[key] = value
    kinds = [finding.kind for finding in found_in(records, LEASED).findings]
    assert sorted(kinds) == sorted(damage.kind for damage in together)


def test_each_fact_that_is_a_folder_is_told_once_however_much_lies_below_it() -> None:
    put = ["f", "f/1", "f/2", "f/2/x", "f/2/y", "g", "g/1/2/3"]
    more = {KEYS.fact(PROJECT, "s1", path): codec.encode_fact(fact(path)) for path in put}
    found = found_in(SOUND | more, LEASED)
    assert [f.key for f in found.findings] == [
        KEYS.fact(PROJECT, "s1", path) for path in ("f", "f/2", "g")
    ]


@given(st.sets(paths, max_size=12))
def test_paths_are_found_when_and_only_when_one_is_a_folder_of_another(some: set[str]) -> None:
    records = {KEYS.fact(PROJECT, "s2", path): codec.encode_fact(fact(path)) for path in some}
    found = found_in(SOUND | records, LEASED)
    wrong = {above for path in some for above in ancestors(path) if above in some}
    assert [f.key for f in found.findings] == sorted(
        KEYS.fact(PROJECT, "s2", path) for path in wrong
    )


@pytest.mark.parametrize("name", ["a stray key x", "a fact with another format", "no epoch"])
def test_a_store_that_is_not_understood_says_so(name: str) -> None:
    assert not after(DAMAGES[name]).understood


def test_a_record_is_never_shown() -> None:
    for damage in DAMAGES.values():
        secret = {
            key: value and value.replace(b"alice", b"hunter2").replace(b"\xff", b"hunter2\xff")
            for key, value in damage.puts.items()
        }
        found = after(Damage(damage.kind, damage.at, secret, damage.leased))
        assert found.findings
        assert "hunter2" not in "".join(finding.problem for finding in found.findings)


@settings(deadline=None)
@given(st.dictionaries(st.binary(max_size=30), st.binary(max_size=30), max_size=6))
def test_whatever_lies_below_the_root_can_be_examined(junk: dict[bytes, bytes]) -> None:
    prefixes = (
        b"",
        b"stacks/p/",
        b"data/p/s/facts/",
        b"data/p/s/members/",
        b"data/p/s/signals/",
        b"acts/000",
        b"idem/p/",
        b"purges/p/",
    )
    for prefix in prefixes:
        below = {KEYS.root.encode() + b"/" + prefix + key: value for key, value in junk.items()}
        found_in(SOUND | below, LEASED)
