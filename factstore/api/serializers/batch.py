"""Batches as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator

from factstore.api.raw_json import array_texts, object_texts
from factstore.api.serializers.facts import revealed_fact_text
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact_result import FactResult
from factstore.core.services.written_facts import WrittenFacts

_quoted = json.encoder.encode_basestring


def batch_texts(written: WrittenFacts, epoch: str) -> Iterator[str]:
    """Yield the outcome of a batch as JSON."""
    results = array_texts((_result_text(result, epoch),) for result in written.results)
    cursor = str(Cursor(epoch, written.revision))
    return object_texts({"cursor": cursor}, {"results": results})


def _result_text(result: FactResult, epoch: str) -> str:
    fact, deleted = result.fact, result.deleted
    # The text is not kept with the fact: few facts that are written are read from this worker.
    text = "null" if fact is None else revealed_fact_text(fact, fact.text, epoch)
    count = "" if deleted is None else f'"deleted":{deleted},'
    return f'{{{count}"outcome":{_quoted(result.outcome)},"path":{_quoted(result.path)},"fact":{text}}}'
