"""Batches as JSON."""

from __future__ import annotations

from factstore.api.raw_json import json_array, json_object
from factstore.api.serializers.facts import fact_text
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact_result import FactResult
from factstore.core.services.facts import WrittenFacts


def batch_text(written: WrittenFacts, epoch: str) -> str:
    """Return the outcome of a batch as JSON."""
    results = json_array(_result_text(result, epoch) for result in written.results)
    cursor = str(Cursor(epoch, written.revision))
    return json_object({"cursor": cursor}, {"results": results})


def _result_text(result: FactResult, epoch: str) -> str:
    fact = fact_text(result.fact, epoch) if result.fact else "null"
    return json_object({"path": result.path, "outcome": result.outcome}, {"fact": fact})
