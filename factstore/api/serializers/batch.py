"""Batches as JSON."""

from __future__ import annotations

from collections.abc import Iterator

from factstore.api.raw_json import array_texts, object_texts
from factstore.api.serializers.facts import fact_text
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact_result import FactResult
from factstore.core.services.written_facts import WrittenFacts


def batch_texts(written: WrittenFacts, epoch: str) -> Iterator[str]:
    """Yield the outcome of a batch as JSON."""
    results = array_texts(_result_texts(result, epoch) for result in written.results)
    cursor = str(Cursor(epoch, written.revision))
    return object_texts({"cursor": cursor}, {"results": results})


def _result_texts(result: FactResult, epoch: str) -> Iterator[str]:
    fact = fact_text(result.fact, epoch) if result.fact else "null"
    fields: dict[str, object] = {"path": result.path, "outcome": result.outcome}
    if result.deleted is not None:
        fields["deleted"] = result.deleted
    return object_texts(fields, {"fact": (fact,)})
