"""Facts as JSON."""

from __future__ import annotations

import json

from factstore.core.model.fact import Fact
from factstore.core.model.value import encode

_quoted = json.encoder.encode_basestring


def fact_text(fact: Fact, epoch: str) -> str:
    """Return a fact as JSON; the value of a sensitive fact is null."""
    memo = fact.memo
    text = None if memo is None else memo.get(epoch)
    if text is None:
        text = revealed_fact_text(fact, fact.text, epoch)
        fact.remember(epoch, text)
    return text


def revealed_fact_text(fact: Fact, value: str, epoch: str) -> str:
    """Return a fact as JSON with a value of its own, which is not kept in memory.

    :param value: canonical JSON.
    """
    # As json_object() writes it, in the order of names, but in a third of the time.
    ttl = "null" if fact.ttl is None else fact.ttl
    member = "null" if fact.member is None else _quoted(fact.member)
    sensitive = "false" if fact.sealed is None else "true"
    readers = encode(fact.readers) if fact.readers else "[]"
    return (
        f'{{"created_at":{_quoted(fact.created_at)},"etag":"{epoch}.{fact.revision}",'
        f'"kind":{_quoted(fact.kind)},"member":{member},"path":{_quoted(fact.path)},'
        f'"revision":{fact.revision},"sensitive":{sensitive},"ttl":{ttl},'
        f'"updated_at":{_quoted(fact.updated_at)},"updated_by":{_quoted(fact.updated_by)},'
        f'"version":{fact.version},"readers":{readers},"value":{value}}}'
    )
