"""What is kept of a write with an ``Idempotency-Key``, so that its retry gets the same answer.

Values are not kept: the retry brings them again, and a fingerprint proves that it is the same
request.  The fingerprint of one that brings sensitive values is keyed with their stack's data key, so
that whoever can read the store cannot try out values.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from factstore.core.errors import Conflict
from factstore.core.model.fact import MASK, Delete, Fact, Put
from factstore.core.operations.fact_plan import Result
from factstore.core.ports import IdempotencyRecord

RETENTION = 24 * 3600  # seconds


@dataclass(frozen=True, slots=True)
class Idempotency:
    """The caller's promise that requests with this key are one.

    :param key: a hash over project, user, route and the header's value.
    :param fingerprint: a hash over everything else that makes the request what it is.
    """

    key: str
    fingerprint: str


def make_receipt(
    project_id: str,
    idempotency: Idempotency,
    results: Sequence[Result],
    stack_id: str | None = None,
) -> IdempotencyRecord:
    """The receipt of a write with these results.

    :param stack_id: of the stack whose data key the fingerprint is keyed with, if it is.
    """
    kept = {
        "fingerprint": idempotency.fingerprint,
        **({} if stack_id is None else {"keyed": stack_id}),
        "results": [
            {"path": r.path, "outcome": r.outcome, "fact": _kept(r.fact) if r.fact else None}
            for r in results
        ],
    }
    return IdempotencyRecord(project_id, idempotency.key, json.dumps(kept))


def keying_stack(receipt: IdempotencyRecord) -> str | None:
    """The id of the stack whose data key a receipt's fingerprint is keyed with; None if it is not."""
    keyed: str | None = json.loads(receipt.text).get("keyed")
    return keyed


def is_receipt(record: bytes) -> bool:
    """Whether a record is one that :func:`replay` can read."""
    try:
        kept = json.loads(record)
        entries = [(entry["path"], entry["outcome"], entry["fact"]) for entry in kept["results"]]
        return isinstance(kept["fingerprint"], str) and all(
            isinstance(path, str) and isinstance(outcome, str) and isinstance(fact, dict | None)
            for path, outcome, fact in entries
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def replay(
    receipt: IdempotencyRecord, idempotency: Idempotency, wishes: Sequence[Put | Delete]
) -> tuple[Result, ...]:
    """The results that were given for the request the first time.

    :raises Conflict: ``idempotency_key_reused``: the key stands for another request.
    """
    kept: dict[str, Any] = json.loads(receipt.text)
    if kept["fingerprint"] != idempotency.fingerprint:
        raise reused()
    return tuple(
        Result(entry["path"], entry["outcome"], _revived(entry["fact"], wish, receipt.revision))
        for entry, wish in zip(kept["results"], wishes, strict=True)
    )


def reused() -> Conflict:
    """The refusal of a key that stands for another request."""
    return Conflict(
        "this Idempotency-Key was used for a different request; use a new key for each request.",
        code="idempotency_key_reused",
    )


def _kept(fact: Fact) -> dict[str, Any]:
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


def _revived(kept: dict[str, Any] | None, wish: Put | Delete, written_at: int) -> Fact | None:
    if kept is None or isinstance(wish, Delete):
        return None
    if wish.sensitive:  # what it was sealed to is nobody's business here
        fact = Fact(path=wish.path, text=MASK, sealed="", readers=wish.readers, **kept)
    else:
        fact = Fact(path=wish.path, text=wish.text, **kept)
    return fact if fact.revision else replace(fact, revision=written_at)
