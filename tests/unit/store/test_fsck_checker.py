"""The rules of the check by themselves: each corruption results in exactly one finding."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factstore.core.model.event import DeletionAuthor, DeletionMarker
from factstore.core.model.member import Applied, Member
from factstore.core.model.record import Record
from factstore.core.model.waiter import Progress, Signal, Timer, Waiter
from factstore.store import codec
from factstore.store.fsck.checker import check
from factstore.store.fsck.report import ADVICE, ProjectContents, Report, StackUsage
from factstore.store.keyspace import Keyspace
from factstore.store.types import KeyValue
from tests.corruptions import HARMLESS, Corruption, corruptions
from tests.unit.core.factories import PROJECT, fact, stack
from tests.unit.core.records import member, signal, waiter

KEYS = Keyspace("/factstore/v1")
LIVING = stack()
CORRUPTIONS = dict(corruptions(KEYS, LIVING))
RECORDS: list[Record] = [
    member("c1", 0),
    member("gone", 0, state="departed", reason="left"),
    member("awaited", 0, 0, ttl=None, declared="heat:1", number=9),
    Applied("c1", 5),
    waiter("ready", 0, {"signals": 2}),
    replace(waiter("met", 0, {"signals": 1}), state="met", progress=Progress(1, 1)),
    Timer("ready"),
    signal("ready", "\u20ac", 0),
    signal("met", "a", 0),
    DeletionMarker(5),
]
COUNTED = [record for record in RECORDS if isinstance(record, Member | Waiter | Signal)]

SOUND: dict[bytes, bytes] = {
    KEYS.epoch: b"0123456789abcdef" * 2,
    KEYS.sentinel: b"",
    KEYS.compactor: b"17",
    KEYS.act(0): codec.encode_deletion_author(DeletionAuthor("s1", "u", "r", ("a",))),
    KEYS.stack(PROJECT, "slurm"): codec.encode_stack(LIVING),
    KEYS.stack(PROJECT, "empty"): codec.encode_stack(stack(stack_id="s2")),
    KEYS.stack(PROJECT, "peopled"): codec.encode_stack(stack(stack_id="s3")),
    KEYS.fact(PROJECT, "s1", "a/b"): codec.encode_fact(fact("a/b", "\u20ac")),
    KEYS.fact(PROJECT, "s1", "t"): codec.encode_fact(fact("t", ttl=60)),
    KEYS.fact(PROJECT, "s3", "u"): codec.encode_fact(fact("u", member="c1")),
    **{
        KEYS.record(PROJECT, "s3", record.record_key): codec.encode_record(record)
        for record in RECORDS
    },
    KEYS.receipt(PROJECT, "r"): b'{"fingerprint": "f", "results": []}',
    KEYS.purge("other", "s9"): b"",
    KEYS.legacy("third"): b"",
}


def check_records(records: dict[bytes, bytes]) -> Report:
    return check([KeyValue(key, records[key], 1, 2, 1, 0) for key in sorted(records)], KEYS)


def check_after(*made: Corruption) -> Report:
    records = dict(SOUND)
    for corruption in made:
        for key, value in corruption.puts.items():
            records.pop(key, None)
            if value is not None:
                records[key] = value
    return check_records(records)


def test_a_sound_store_has_no_findings_and_everything_is_counted() -> None:
    report = check_records(SOUND)
    assert report.findings == ()
    assert report.is_repairable
    assert report.store_id == SOUND[KEYS.epoch]
    slurm = StackUsage("slurm", 2, len("a/b") + len('"\u20ac"'.encode()) + len("t1"))
    size = len("u1") + sum(record.size for record in COUNTED)
    peopled = StackUsage("peopled", 1 + len(COUNTED), size)
    stacks = {"s1": slurm, "s2": StackUsage("empty"), "s3": peopled}
    assert report.projects == {
        "other": ProjectContents(purges={"s9"}),
        "third": ProjectContents(legacy=1),
        PROJECT: ProjectContents(stacks=stacks, receipts=1),
    }
    assert report.projects[PROJECT].facts == 3 + len(COUNTED)
    assert report.projects[PROJECT].bytes == slurm.bytes + size


def test_each_corruption_results_in_one_finding() -> None:
    found = {
        name: [(finding.kind, finding.key) for finding in check_after(corruption).findings]
        for name, corruption in CORRUPTIONS.items()
    }
    assert found == {name: [(made.kind, made.at)] for name, made in CORRUPTIONS.items()}


def test_harmless_keys_result_in_no_finding() -> None:
    for name, make in HARMLESS.items():
        assert check_records(SOUND | make(KEYS, LIVING)).findings == (), name


def test_each_kind_has_a_corruption_and_advice() -> None:
    assert {corruption.kind for corruption in CORRUPTIONS.values()} == set(ADVICE) - {"idle_lease"}
    for corruption in CORRUPTIONS.values():
        assert check_after(corruption).findings[0].advice


def test_corruptions_do_not_hide_one_another() -> None:
    together = [
        CORRUPTIONS[name]
        for name in (
            *("no epoch", "a stray key x", "data of no stack"),
            *("an empty act", "a sensitive fact without a data key"),
        )
    ]
    kinds = [finding.kind for finding in check_after(*together).findings]
    assert sorted(kinds) == sorted(corruption.kind for corruption in together)


def test_data_are_no_orphans_while_a_stack_of_their_project_is_unreadable() -> None:
    lost, unreadable = CORRUPTIONS["data of no stack"], CORRUPTIONS["a stack with no JSON"]
    assert [finding.kind for finding in check_after(lost, unreadable).findings] == ["unreadable"]


@pytest.mark.parametrize("name", ["a stray key x", "a fact with another format", "no epoch"])
def test_a_store_with_unknown_contents_is_not_repairable(name: str) -> None:
    assert not check_after(CORRUPTIONS[name]).is_repairable


@pytest.mark.parametrize("name", ["data of no stack", "a sensitive fact without a data key"])
def test_a_store_whose_contents_are_known_is_repairable(name: str) -> None:
    assert check_after(CORRUPTIONS[name]).is_repairable


def test_a_finding_never_contains_a_record() -> None:
    for corruption in CORRUPTIONS.values():
        secret = {
            key: value and value.replace(b"alice", b"hunter2").replace(b"\xff", b"hunter2\xff")
            for key, value in corruption.puts.items()
        }
        found = check_after(Corruption(corruption.kind, corruption.at, secret))
        assert found.findings
        assert "hunter2" not in "".join(finding.problem for finding in found.findings)


@given(st.dictionaries(st.binary(max_size=30), st.binary(max_size=30), max_size=6))
def test_any_keys_below_the_root_can_be_checked(junk: dict[bytes, bytes]) -> None:
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
        check_records(SOUND | below)
