"""Facts as JSON."""

from __future__ import annotations

from factstore.api.raw_json import json_object
from factstore.core.model.fact import Fact
from factstore.core.model.value import encode


def fact_text(fact: Fact, epoch: str) -> str:
    """Return a fact as JSON; the value of a sensitive fact is null."""
    text = fact.memo.get(epoch)
    if text is None:
        text = fact.memo[epoch] = revealed_fact_text(fact, fact.text, epoch)
    return text


def revealed_fact_text(fact: Fact, value: str, epoch: str) -> str:
    """Return a fact as JSON with a value of its own, which is not kept in memory.

    :param value: canonical JSON.
    """
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
        "etag": fact.etag(epoch),
        "sensitive": fact.sensitive,
    }
    readers = encode(fact.readers) if fact.readers else "[]"
    return json_object(fields, {"readers": readers, "value": value})
