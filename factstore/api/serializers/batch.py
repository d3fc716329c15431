"""Batches as JSON."""

from __future__ import annotations

import json

from factstore.api.serializers.facts import revealed_fact_text
from factstore.core.model.fact_result import FactResult
from factstore.core.services.written_facts import WrittenFacts

_quoted = json.encoder.encode_basestring


def batch_text(written: WrittenFacts, epoch: str) -> str:
    """Return the outcome of a batch as JSON."""
    results = ",".join([_result_text(result, epoch) for result in written.results])
    return f'{{"cursor":"{epoch}.{written.revision}","results":[{results}]}}'


def _result_text(result: FactResult, epoch: str) -> str:
    fact, deleted = result.fact, result.deleted
    # The text is not kept with the fact: few facts that are written are read from this worker.
    text = "null" if fact is None else revealed_fact_text(fact, fact.text, epoch)
    count = "" if deleted is None else f'"deleted":{deleted},'
    return f'{{{count}"outcome":{_quoted(result.outcome)},"path":{_quoted(result.path)},"fact":{text}}}'
