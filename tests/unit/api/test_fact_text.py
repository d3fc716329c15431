"""The JSON of a fact is that of its fields, written by hand."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from factstore.api.raw_json import json_object
from factstore.api.serializers.facts import fact_text, revealed_fact_texts
from factstore.core.model.fact import Fact
from factstore.core.model.value import encode

EPOCH = "0123456789abcdef"
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
FACTS = st.builds(
    Fact,
    path=TEXTS,
    text=st.sampled_from(["1", '"ä"', '{"a":[null]}']),
    kind=st.sampled_from(["observed", "parameter"]),
    created_at=TEXTS,
    updated_at=TEXTS,
    updated_by=TEXTS,
    request_id=TEXTS,
    ttl=st.one_of(st.none(), st.integers(5, 600)),
    member=st.one_of(st.none(), TEXTS),
    version=st.integers(1, 2**40),
    revision=st.integers(1, 2**62),
    sealed=st.one_of(st.none(), TEXTS),
    readers=st.lists(TEXTS, max_size=2).map(tuple),
)


@given(FACTS)
def test_the_text_of_a_fact_is_the_json_of_its_fields(fact: Fact) -> None:
    fields = {
        "path": fact.path,
        "kind": fact.kind,
        "revision": fact.revision,
        "version": fact.version,
        "created_at": fact.created_at,
        "updated_at": fact.updated_at,
        "updated_by": fact.updated_by,
        "ttl": fact.ttl,
        "member": fact.member,
        "etag": fact.etag(EPOCH),
        "sensitive": fact.sensitive,
    }
    raw = {"readers": encode(list(fact.readers)), "value": fact.text}
    text = fact_text(fact, EPOCH)
    assert text == json_object(fields, raw)
    assert json.loads(text)["path"] == fact.path


@given(st.lists(st.one_of(st.none(), FACTS), max_size=3), st.integers(1, 2), st.booleans())
def test_the_texts_of_several_facts_are_those_of_each(
    found: list[Fact | None], times: int, alike: bool
) -> None:
    facts = [
        each and replace(each, path=f"{each.path}{number}", version=each.version + number)
        for each in found
        for number in range(times)
    ]
    if alike:
        facts = [fact and replace(facts[0] or fact, path=fact.path) for fact in facts]
    expected = ["null" if fact is None else fact_text(fact, EPOCH) for fact in facts]
    assert list(revealed_fact_texts(facts, EPOCH)) == expected
