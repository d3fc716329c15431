"""The stored outcome of a write with an ``Idempotency-Key``: its retry gets the same answer.

Values are not stored: the retry brings them again, and a fingerprint proves that it is the same
request.  The fingerprint of a request with sensitive values is keyed with the data key of their stack,
so that a reader of the store cannot try values out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from factstore.core.errors import Conflict
from factstore.core.model.fact import MASK, Delete, Fact, Put
from factstore.core.model.fact_result import FactResult
from factstore.core.model.transaction import IdempotencyRecord

RETENTION = 24 * 3600  # seconds


@dataclass(frozen=True, slots=True)
class Idempotency:
    """The caller's promise that requests with this key are one.

    :param key: a hash over project, user, route and the header's value.
    :param fingerprint: a hash over everything else that makes the request what it is.
    """

    key: str
    fingerprint: str


def encode_results(
    project_id: str,
    idempotency: Idempotency,
    results: Sequence[FactResult],
    stack_id: str | None = None,
) -> IdempotencyRecord:
    """Return the record of a write with these results.

    :param stack_id: of the stack whose data key the fingerprint is keyed with, if it is.
    """
    document = {
        "fingerprint": idempotency.fingerprint,
        **({} if stack_id is None else {"keyed": stack_id}),
        "results": [
            {
                "path": result.path,
                "outcome": result.outcome,
                "fact": _without_value(result.fact) if result.fact else None,
            }
            for result in results
        ],
    }
    return IdempotencyRecord(project_id, idempotency.key, json.dumps(document))


def keyed_stack_id(record: IdempotencyRecord) -> str | None:
    """Return the id of the stack whose data key the fingerprint is keyed with; None if it is plain."""
    stack_id: str | None = json.loads(record.text).get("keyed")
    return stack_id


def is_idempotency_record(value: bytes) -> bool:
    """Return whether :func:`decode_results` can read a stored value."""
    try:
        document = json.loads(value)
        entries = [
            (entry["path"], entry["outcome"], entry["fact"]) for entry in document["results"]
        ]
        return isinstance(document["fingerprint"], str) and all(
            isinstance(path, str) and isinstance(outcome, str) and isinstance(fact, dict | None)
            for path, outcome, fact in entries
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def decode_results(
    record: IdempotencyRecord, idempotency: Idempotency, requests: Sequence[Put | Delete]
) -> tuple[FactResult, ...]:
    """Return the results that the request got the first time.

    :raises Conflict: ``idempotency_key_reused``: the key was used for another request.
    """
    document: dict[str, Any] = json.loads(record.text)
    if document["fingerprint"] != idempotency.fingerprint:
        raise key_reused()
    return tuple(
        FactResult(
            entry["path"], entry["outcome"], _with_value(entry["fact"], request, record.revision)
        )
        for entry, request in zip(document["results"], requests, strict=True)
    )


def key_reused() -> Conflict:
    """Return the refusal of a key that was used for another request."""
    return Conflict(
        "this Idempotency-Key was used for a different request; use a new key for each request.",
        code="idempotency_key_reused",
    )


def _without_value(fact: Fact) -> dict[str, Any]:
    return {
        "kind": fact.kind,
        "created_at": fact.created_at,
        "updated_at": fact.updated_at,
        "updated_by": fact.updated_by,
        "request_id": fact.request_id,
        "ttl": fact.ttl,
        "member": fact.member,
        "version": fact.version,
        "revision": fact.revision,
    }


def _with_value(
    stored: dict[str, Any] | None, request: Put | Delete, written_at: int
) -> Fact | None:
    if stored is None or isinstance(request, Delete):
        return None
    if request.sensitive:  # the answer does not show the sealed value either
        fact = Fact(path=request.path, text=MASK, sealed="", readers=request.readers, **stored)
    else:
        fact = Fact(path=request.path, text=request.text, **stored)
    return fact if fact.revision else replace(fact, revision=written_at)
