"""Facts as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from operator import attrgetter

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
    head, middle, tail = _around(fact, epoch)
    return f"{head}{_quoted(fact.path)}{middle}{fact.version}{tail}{value}}}"


def revealed_fact_texts(facts: Iterable[Fact | None], epoch: str) -> Iterator[str]:
    """Yield facts as JSON, which is not kept in memory; null for None."""
    # The facts that were written together differ in little, and the rest takes most of the time.
    common, around = None, ("", "", "")
    for fact in facts:
        if fact is None:
            yield "null"
            continue
        if (own := _common(fact)) != common:
            common, around = own, _around(fact, epoch)
        head, middle, tail = around
        yield f"{head}{_quoted(fact.path)}{middle}{fact.version}{tail}{fact.text}}}"


_common = attrgetter(
    "revision",
    "created_at",
    "updated_at",
    "updated_by",
    "kind",
    "ttl",
    "member",
    "sealed",
    "readers",
)


def _around(fact: Fact, epoch: str) -> tuple[str, str, str]:
    """Return the text before the path of a fact, between path and version, and before the value."""
    # As json_object() writes it, in the order of names, but in a third of the time.
    ttl = "null" if fact.ttl is None else fact.ttl
    member = "null" if fact.member is None else _quoted(fact.member)
    sensitive = "false" if fact.sealed is None else "true"
    readers = encode(fact.readers) if fact.readers else "[]"
    head = (
        f'{{"created_at":{_quoted(fact.created_at)},"etag":"{epoch}.{fact.revision}",'
        f'"kind":{_quoted(fact.kind)},"member":{member},"path":'
    )
    middle = (
        f',"revision":{fact.revision},"sensitive":{sensitive},"ttl":{ttl},'
        f'"updated_at":{_quoted(fact.updated_at)},"updated_by":{_quoted(fact.updated_by)},"version":'
    )
    return head, middle, f',"readers":{readers},"value":'
