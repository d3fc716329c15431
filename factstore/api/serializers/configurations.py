"""Configurations as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from factstore.api.raw_json import array_texts, object_texts
from factstore.core.model.configuration_result import StoredResult
from factstore.core.model.value import encode
from factstore.core.state.configuration_view import ConfigurationView

_DETAILS = ("config", "options", "inputs", "input_facts", "trigger")
_RESULT_DETAILS = ("stdout", "stderr")


def _document(view: ConfigurationView) -> dict[str, Any]:
    configuration = view.configuration
    fact = configuration.fact
    return {
        "member": configuration.member,
        "name": configuration.name,
        **configuration.document,
        "state": view.state,
        "deployed": view.deployed,
        "waits_for": list(view.waits_for),
        "result": _result_document(view.result),
        "revision": fact.revision,
        "created_at": fact.created_at,
        "updated_at": fact.updated_at,
        "updated_by": fact.updated_by,
    }


def _result_document(stored: StoredResult | None) -> dict[str, Any] | None:
    if stored is None:
        return None
    document = stored.result.document
    del document["id"]
    return {
        **document,
        "started_at": stored.started_at,
        "ended_at": stored.ended_at,
        "revision": stored.fact.revision,
    }


def configuration_text(view: ConfigurationView) -> str:
    """Return a configuration with its result as JSON."""
    return encode(_document(view))


def _summary_text(view: ConfigurationView) -> str:
    document = _document(view)
    for name in _DETAILS:
        del document[name]
    if document["result"] is not None:
        for name in _RESULT_DETAILS:
            del document["result"][name]
    return encode(document)


def configurations_texts(views: Iterable[ConfigurationView]) -> Iterator[str]:
    """Yield a list of configurations as JSON, without their texts, inputs and printed output."""
    return object_texts(
        {}, {"configurations": array_texts((_summary_text(each),) for each in views)}
    )
