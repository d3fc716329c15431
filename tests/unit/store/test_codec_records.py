"""What lies beside facts, as bytes; and bytes that would stop the watch if they were believed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from factstore.core.model.condition import Definition
from factstore.core.model.data_key import DataKey
from factstore.core.model.event import DeletionMarker, Record
from factstore.core.model.grant import Grant
from factstore.core.model.member import Applied, Member
from factstore.core.model.waiter import Progress, Signal, Timer, Waiter
from factstore.store import codec
from tests.unit.store.test_codec import JUNK

DEFINITION = Definition.of({"success": {"facts": "secret/*", "equals": "hunter2"}}).text


RECORDS: list[Record] = [
    Member("c1", "compute", "ready", '{"a":1}', 30, "t", "t", "u", "r", None, 2, 7, 9),
    Member("c1", "compute", "departed", "{}", 30, "t", "t", "u", "r", "left", 3, 7, 9),
    Member("c1", "compute", "joining", "{}", None, "t", "t", "u", "r", "scaled_out", 1, 7, 0,
           "heat:1", 99),
    Member("c1", "compute", "ready", "{}", 30, "t", "t", "u", "r", None, 2, 7, 9, "heat:1", 0, 6),
    Applied("c1", 5, 7, 9),
    Waiter("w", DEFINITION, 60, False, "pending", "t", "u", "r", timer=5, revision=7),
    Waiter(
        "w", DEFINITION, 60, True, "failed", "t", "u", "r", "t", 6, "why",
        Progress(1, 2, ("a", "\u20ac"), ()), revision=7,
    ),
    Timer("w", 7, 9),
    Signal("w", "a/b \u20ac", "FAILURE", "", "null", "t", "u", "r", 7),
    DeletionMarker(5, 7),
    Grant("s-1", "agent", "c1", "g", "d" * 64, 60, "t", "u", "t", "u", "r", "", 7, 9),
    Grant("s-3", "agent", "c1", "g", "d" * 64, 60, "t", "u", "t", "u", "r", "s-1", 7, 9),
    Grant("s-2", "reader", None, None, "d" * 64, 60, "t", "u", "t", "u", "r", "", 7, 9),
    DataKey("gAAAAAwrapped", 7),
]  # fmt: skip


def again(record: Record, text: bytes) -> Record:
    return codec.decode_record(
        text, record.record_key, revision=record.revision, lease=record.lease
    )


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_beside_facts_reads_back_as_it_was(record: Record) -> None:
    assert again(record, codec.encode_record(record)) == record


@pytest.mark.parametrize("record", RECORDS)
@pytest.mark.parametrize("wrong", [[], {"a": 1}, 1.5, True, -7, "\ud800", "no such word"])
def test_a_record_whose_members_have_other_types_is_none_of_ours(
    record: Record, wrong: object
) -> None:
    held = json.loads(codec.encode_record(record))
    for name, value in held.items():
        if name == "format":
            continue
        fits = type(wrong) is type(value) and wrong != "\ud800"
        free = fits and name not in ("state", "status", "id", "definition", "progress", "role")
        nullable = ("reason", "decided_at", "member", "group", "declared")
        optional = (wrong == "no such word" and name in nullable) or (wrong == -7 and name == "ttl")
        text = json.dumps(held | {name: wrong}).encode()
        if free or optional:
            again(record, text)
        else:
            with pytest.raises(codec.UnknownFormat) as refused:
                again(record, text)
            assert DEFINITION not in str(refused.value)


@pytest.mark.parametrize("record", RECORDS)
@pytest.mark.parametrize("text", JUNK)
def test_junk_is_no_record(record: Record, text: bytes) -> None:
    if record.record_key.kind == "timer" and text == b'{"format": 1}':
        return  # there is nothing more in it
    with pytest.raises(codec.UnknownFormat):
        again(record, text)


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_with_a_member_too_many_or_too_few_is_none_of_ours(record: Record) -> None:
    held = json.loads(codec.encode_record(record))
    needed = {name for name, value in held.items() if value and name not in ("reason", "version")}
    # What says nothing of a member's declaration is left out of its record.
    optional = {"decided_at", "decided_revision", "timer", "parent", "declared", "number", "told"}
    for name in needed - optional:
        with pytest.raises(codec.UnknownFormat):
            again(record, json.dumps({n: v for n, v in held.items() if n != name}).encode())
    for more in ("colour", "memo", "lease", "revision"):
        with pytest.raises(codec.UnknownFormat):
            again(record, json.dumps(held | {more: {"a": 1}}).encode())


def test_a_member_that_nobody_declared_is_written_as_ever() -> None:
    """So that workers of an earlier version, which do not know the rest, can read it."""
    held = json.loads(codec.encode_record(RECORDS[0]))
    assert not {"declared", "number", "told"} & held.keys()


def test_a_signal_lies_where_its_id_says() -> None:
    signal = Signal("w", "a", "SUCCESS", "", "null", "t", "u", "r")
    other = replace(signal, id="b")
    with pytest.raises(codec.UnknownFormat, match="belong"):
        codec.decode_record(codec.encode_record(signal), other.record_key, revision=1, lease=0)
