"""Encoding of records other than facts, and refusal of bytes that would stop the watch."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from factstore.core.model.blocked_reads import BlockedRead, BlockedReads
from factstore.core.model.condition_room import ConditionRoom
from factstore.core.model.configuration import ConfigurationOrder
from factstore.core.model.data_key import DataKey
from factstore.core.model.definition import Definition
from factstore.core.model.delivery import Delivery, DeliveryState, Notifier, Owner
from factstore.core.model.event import DeletionMarker
from factstore.core.model.flapping_report import FlappingReport
from factstore.core.model.grant import Grant
from factstore.core.model.member import Applied, Member
from factstore.core.model.pulse import Endings, Restorations
from factstore.core.model.read_set import ReadSet
from factstore.core.model.record import Record
from factstore.core.model.stuck_report import StuckReport
from factstore.core.model.wait import Party
from factstore.core.model.waiter import Progress, Signal, Timer, Waiter
from factstore.store import codec
from tests.cases import cases
from tests.unit.core.factories import EPOCH
from tests.unit.core.records import subscription
from tests.unit.store.test_codec import JUNK

DEFINITION = Definition.of({"success": {"facts": "secret/*", "equals": "hunter2"}}).text

STORED: Any = {"revision": 7, "lease": 9}

RECORDS: list[Record] = [
    Member("c1", "compute", "ready", '{"a":1}', 30, "t", "t", "u", "r", None, 2, **STORED),
    Member("c1", "compute", "departed", "{}", 30, "t", "t", "u", "r", "left", 3, **STORED),
    Member("c1", "compute", "joining", "{}", None, "t", "t", "u", "r", "scaled_out", 1,
           "heat:1", 99, revision=7),
    Member("c1", "compute", "ready", "{}", 30, "t", "t", "u", "r", None, 2, "heat:1", 0, 6,
           **STORED),
    Applied("c1", 5, **STORED),
    Waiter("w", DEFINITION, 60, False, "pending", "t", "u", "r", timer=5, revision=7),
    Waiter(
        "w", DEFINITION, 60, True, "failed", "t", "u", "r", "t", 6, "why",
        Progress(1, 2, ("a", "\u20ac"), ()), revision=7,
    ),
    Timer("w", **STORED),
    Signal("w", "a/b \u20ac", "FAILURE", "", "null", "t", "u", "r", revision=7),
    ReadSet.of("c1", ["nodes/", "nodes/*/ip"], ["*"], ["compute"]),
    replace(ReadSet.of("c1"), updated_at="t", updated_by="u", request_id="r", **STORED),
    DeletionMarker(5, revision=7),
    DeletionMarker(5, {"": 2, "nodes/c1": 5, "@/compute/c2": 4}, revision=7),
    DeletionMarker(5, {}, revision=7),
    ConditionRoom(3, revision=7),
    BlockedReads("w", (BlockedRead(Party("member", "c1"), "nodes/head/ip", "t", 2),), 3, **STORED),
    FlappingReport("a", 6, ("a", "b"), ("c1",), "t", revision=7),
    StuckReport("t", "c1 waits for nodes/head/ip.", "u", revision=7),
    ConfigurationOrder(3, revision=7),
    Endings(3, revision=7),
    Restorations(3, revision=7),
    Grant("s-1", "agent", "c1", "g", "d" * 64, 60, "t", "u", "t", "u", "r", "", **STORED),
    Grant("s-3", "agent", "c1", "g", "d" * 64, 60, "t", "u", "t", "u", "r", "s-1", **STORED),
    Grant("s-2", "reader", None, None, "d" * 64, 60, "t", "u", "t", "u", "r", "", **STORED),
    DataKey("gAAAAAwrapped", revision=7),
    subscription(types=("fact.put",), wrapped_key="k", revision=7),
    subscription(secrets=("1.new", "1.old"), former_until="t", revision=7),
    replace(DeliveryState.first(subscription()), revision=7),
    DeliveryState("s", 0, 0, f"{EPOCH}.5", 3, 2, 1, "t", "t", "timeout", (
        Delivery("s.5", "events", "t", 1, 3, False, None, 7, "timeout").text,), **STORED),
    Owner("s", "n1", **STORED),
    Notifier("n1", "host", "t", **STORED),
]  # fmt: skip


def again(record: Record, text: bytes) -> Record:
    return codec.decode_record(
        text, record.record_key, revision=record.revision, lease=record.lease
    )


def refused(record: Record, text: bytes) -> codec.UnknownFormat:
    """Return the error that decoding a text as a record raises."""
    try:
        found = again(record, text)
    except codec.UnknownFormat as error:
        return error
    raise AssertionError(f"was read as {found}")


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_other_than_a_fact_is_decoded_unchanged(record: Record) -> None:
    assert again(record, codec.encode_record(record)) == record


WRONG: list[object] = [[], {"a": 1}, 1.5, True, -7, "\ud800", "no such word"]


def is_legal(name: str, value: object, wrong: object) -> bool:
    """Return True if a field of a record may have another value."""
    fits = type(wrong) is type(value) and wrong != "\ud800"
    if fits and name not in (
        "state",
        "status",
        "id",
        "definition",
        "progress",
        "role",
        "secrets",
        "start",
        "cursor",
        "path",
    ):
        return True
    nullable = ("reason", "decided_at", "history_lost_at", "member", "group", "declared")
    nullable += ("former_until", "rotated_at", "failing_since", "next_attempt_at", "last_error")
    return (wrong == "no such word" and name in nullable) or (wrong == -7 and name == "ttl")


def test_a_record_with_a_field_of_another_type_is_refused() -> None:
    with cases() as case:
        for n, record in enumerate(RECORDS):
            fields = json.loads(codec.encode_record(record))
            for name, value in fields.items():
                for wrong in WRONG if name != "format" else ():
                    text = json.dumps(fields | {name: wrong}).encode()
                    with case(f"record {n}, {type(record).__name__}: {name} = {wrong!r}"):
                        if is_legal(name, value, wrong):
                            again(record, text)
                            continue
                        error = refused(record, text)
                        assert DEFINITION not in str(error)


def test_junk_is_refused() -> None:
    with cases() as case:
        for n, record in enumerate(RECORDS):
            for text in JUNK:
                if isinstance(record, Timer) and text == b'{"format": 1}':
                    continue  # a timer has only this field
                with case(f"record {n}, {type(record).__name__}: {text[:40]!r}"):
                    refused(record, text)


def test_a_record_with_an_unknown_or_a_missing_field_is_refused() -> None:
    # Empty fields of a member's declaration are omitted from its record.
    optional = {
        "history_lost_at",
        "decided_at",
        "decided_revision",
        "timer",
        "parent",
        "declared",
        "number",
        "told",
    }
    optional |= {"reason", "version", "deletions"}
    with cases() as case:
        for n, record in enumerate(RECORDS):
            fields = json.loads(codec.encode_record(record))
            for name in {name for name, value in fields.items() if value} - optional:
                with case(f"record {n}, {type(record).__name__}: no {name}"):
                    less = {k: v for k, v in fields.items() if k != name}
                    refused(record, json.dumps(less).encode())
            for name in ("colour", "memo", "lease", "revision"):
                with case(f"record {n}, {type(record).__name__}: and {name}"):
                    refused(record, json.dumps(fields | {name: {"a": 1}}).encode())


def test_an_undeclared_member_is_written_in_the_earlier_format() -> None:
    """Workers of an earlier version, which do not know the other fields, can read it."""
    held = json.loads(codec.encode_record(RECORDS[0]))
    assert not {"declared", "number", "told"} & held.keys()


def test_a_signal_whose_id_differs_from_its_key_is_refused() -> None:
    signal = Signal("w", "a", "SUCCESS", "", "null", "t", "u", "r")
    other = replace(signal, id="b")
    with pytest.raises(codec.UnknownFormat, match="belong"):
        codec.decode_record(codec.encode_record(signal), other.record_key, revision=1, lease=0)
