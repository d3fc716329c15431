"""Encoding of records, and refusal of bytes that are not records."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factstore.core.model.event import DeletionAuthor
from factstore.core.model.fact import Fact, Kind, Stack
from factstore.core.model.value import canonical
from factstore.store import codec
from factstore.store.fact_line import SEALED, parsed_fields
from tests.unit.core.factories import fact, stack
from tests.unit.core.test_path import paths
from tests.unit.core.test_value import values

words = st.text(max_size=12)  # even values that Keystone never returns
kinds: st.SearchStrategy[Kind] = st.sampled_from(["observed", "parameter"])
counts = st.integers(0, 2**62)

facts = st.builds(
    Fact,
    path=paths,
    text=values.map(canonical),
    kind=kinds,
    created_at=words,
    updated_at=words,
    updated_by=words,
    request_id=words,
    ttl=st.none() | st.integers(5, 2_592_000),
    cause=st.just(0) | counts,
    version=counts,
    revision=counts,
    lease=counts,
    created=counts,
)
sealed_facts = st.builds(
    replace,
    facts,
    text=st.just("null"),
    sealed=st.text("1.AZaz09-_=", max_size=60),
    readers=st.lists(words, max_size=3).map(tuple),
)
stacks = st.builds(
    Stack,
    project_id=words,
    name=words,
    id=st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
    description=words,
    created_at=words,
    updated_at=words,
    updated_by=words,
    request_id=words,
    revision=counts,
    created=counts,
)
acts = st.builds(
    DeletionAuthor, words, words, words, st.lists(paths, max_size=3).map(tuple), st.booleans()
)


@given(facts | sealed_facts)
def test_a_fact_is_decoded_unchanged(made: Fact) -> None:
    record = codec.encode_fact(made)
    numbers = made.revision, made.version, made.lease, made.created
    decoded = codec.decode_fact(record, made.path, *numbers)
    for each in fields(Fact):  # those that are not compared, too
        assert getattr(decoded, each.name) == getattr(made, each.name)


@given(
    st.lists(
        st.one_of(
            facts,
            sealed_facts,
            # The same except for one field, as those of one write.
            *(
                st.builds(replace, st.just(fact("p")), **{name: each})
                for name, each in {
                    "text": values.map(canonical),
                    "path": paths,
                    "kind": kinds,
                    "created_at": words,
                    "updated_at": words,
                    "updated_by": words,
                    "request_id": words,
                    "ttl": st.none() | st.integers(5, 60),
                    "member": st.none() | words,
                    "cause": counts,
                    "sealed": st.just("x"),
                }.items()
            ),
        ),
        max_size=5,
    )
)
def test_facts_are_encoded_together_as_one_by_one(made: list[Fact]) -> None:
    assert codec.encode_facts(made) == [codec.encode_fact(each) for each in made]


@given(stacks)
def test_a_stack_is_decoded_unchanged(made: Stack) -> None:
    record = codec.encode_stack(made)
    again = codec.decode_stack(
        record, made.project_id, made.name, revision=made.revision, created=made.created
    )
    assert again == made


@given(acts)
def test_a_deletion_author_is_decoded_unchanged(made: DeletionAuthor) -> None:
    assert codec.decode_deletion_author(codec.encode_deletion_author(made)) == made


DECODERS: list[Callable[[bytes], object]] = [
    lambda record: codec.decode_fact(record, "p", revision=1, version=1, lease=0),
    lambda record: codec.decode_stack(record, "p", "s", revision=1, created=1),
    codec.decode_deletion_author,
]
OURS = [
    codec.encode_fact(fact("p")),
    codec.encode_stack(stack()),
    codec.encode_deletion_author(DeletionAuthor("s1", "bob", "req-bob")),
]
JUNK = [
    *(b"", b"\n", b"null", b"1", b'"format"', b"[]", b"{}", b"{", b"\xff\xfe", b"\xff\n1"),
    *(
        b'{"format": 1}',
        b'{"format": 1}\n1',
        b'{"format": 2}\n1',
        b'{"format": 3}\n1',
        b'{"format": "1"}',
        b"[" * 9999,
    ),
]


@pytest.mark.parametrize("decode", DECODERS)
@pytest.mark.parametrize("record", [*JUNK, *(ours.replace(b": 1,", b": 2,", 1) for ours in OURS)])
def test_a_record_of_another_format_is_recognised(
    decode: Callable[[bytes], object], record: bytes
) -> None:
    with pytest.raises(codec.UnknownFormat):
        decode(record)


@pytest.mark.parametrize(("decode", "record"), [*zip(DECODERS, OURS, strict=True)])
def test_a_record_of_the_present_format_is_read(
    decode: Callable[[bytes], object], record: bytes
) -> None:
    assert decode(record)


def test_the_value_is_stored_in_the_record_unchanged() -> None:
    assert codec.encode_fact(fact("p", {"b": 1.0, "a": "\u20ac"})).endswith(
        '\n{"a":"\u20ac","b":1.0}'.encode()
    )


def test_a_sensitive_fact_has_its_own_format_so_that_older_workers_refuse_it() -> None:
    record = codec.encode_fact(fact("p", None, sealed="1.sealed", readers=("group/head",)))
    head, _, text = record.decode().partition("\n")
    assert json.loads(head)["format"] == SEALED
    assert text == "1.sealed"
    assert codec.decode_fact(record, "p", revision=0, version=1, lease=0).text == "null"


@pytest.mark.parametrize("readers", ["group/head", [1], {"group/head": 1}, None])
def test_readers_of_another_type_are_refused(readers: object) -> None:
    head, _, text = codec.encode_fact(fact("p", sealed="1.x")).decode().partition("\n")
    record = json.dumps({**json.loads(head), "readers": readers}) + "\n" + text
    with pytest.raises(codec.UnknownFormat):
        codec.decode_fact(record.encode(), "p", revision=0, version=1, lease=0)


LINE = ("kind", "created_at", "updated_at", "updated_by", "request_id")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(
    st.builds(
        Fact,
        path=st.just("a"),
        text=st.sampled_from(["1", '"ä"']),
        kind=st.sampled_from(["observed", "parameter"]),
        created_at=TEXTS,
        updated_at=TEXTS,
        updated_by=TEXTS,
        request_id=TEXTS,
        ttl=st.one_of(st.none(), st.integers(5, 600)),
        member=st.one_of(st.none(), TEXTS),
        sealed=st.one_of(st.none(), TEXTS),
        readers=st.lists(TEXTS, max_size=2).map(tuple),
        cause=st.sampled_from([0, 1, 2**62]),
    )
)
def test_the_line_of_a_fact_is_the_json_of_its_fields(fact: Fact) -> None:
    names = ["kind", "created_at", "updated_at", "updated_by", "request_id"]
    names += [name for name in ("ttl", "member") if getattr(fact, name) is not None]
    names += ["cause"] if fact.cause else []
    names += [] if fact.sealed is None else ["readers"]
    head = {"format": 1 if fact.sealed is None else 2}
    head |= {name: getattr(fact, name) for name in names}
    text = fact.text if fact.sealed is None else fact.sealed
    assert codec.encode_fact(fact) == f"{json.dumps(head)}\n{text}".encode()


@given(
    st.fixed_dictionaries(dict.fromkeys(LINE, TEXTS)),
    st.sampled_from(["", " ", '"x": 1, ', "\x1f"]),
)
def test_the_usual_line_is_read_as_json_reads_it(wanted: dict[str, str], odd: str) -> None:
    line = json.dumps({"format": 1, **wanted}).replace('"kind"', f'{odd}"kind"')
    try:
        expected = json.loads(line)
    except ValueError:
        with pytest.raises(ValueError, match="Expecting"):
            parsed_fields(line)
    else:
        assert parsed_fields(line) == (*(expected[name] for name in LINE), None, None, None, 0)
