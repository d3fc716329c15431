"""Writes with an ``Idempotency-Key``: a receipt is stored, and a retry gets the same outcome.

Values are not stored: the retry brings them again, and a fingerprint proves that it is the same
request.  The fingerprint of a request with sensitive values is keyed with the data key of their stack,
so that a reader of the store cannot try values out.

A write that changes nothing leaves no receipt.  Its repetition is as good as a request that arrived
later: nothing of it had happened before.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from factstore.core.errors import Conflict
from factstore.core.model.fact import MASK, Author, Delete, DeletePrefix, Fact, Put
from factstore.core.model.fact_result import FactResult
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.receipt import Receipt


@quick_dataclass(frozen=True, slots=True)
class Idempotency:
    """The caller's promise that requests with this key are one.

    :param key: a hash over project, user, route and the header's value.
    :param fingerprint: a hash over everything else that makes the request what it is.
    """

    key: str
    fingerprint: str


def new_receipt(
    idempotency: Idempotency, results: Sequence[FactResult], author: Author, now: str
) -> Receipt:
    """Return the receipt of a write that is planned now."""
    entries = [_entry(result) for result in results]
    return Receipt(
        idempotency.key,
        idempotency.fingerprint,
        json.dumps(entries, separators=(",", ":")),
        now,
        author.user_id,
        author.request_id,
    )


def earlier_receipt(key: str, value: bytes, revision: int) -> Receipt:
    """Return the receipt that an earlier version stored outside its stack.

    :raises ValueError: it is not one.
    """
    try:
        document = json.loads(value)
        for entry in document["results"]:
            if not (
                isinstance(entry["path"], str)
                and isinstance(entry["outcome"], str)
                and isinstance(entry["fact"], dict | None)
            ):
                raise ValueError("an entry is malformed")
        if not isinstance(document["fingerprint"], str):
            raise ValueError("the fingerprint is malformed")
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError("it is malformed") from error
    results = json.dumps(document["results"])
    return Receipt(key, document["fingerprint"], results, "", "", "", revision=revision)


def results_of(
    receipt: Receipt, idempotency: Idempotency, requests: Sequence[Put | Delete | DeletePrefix]
) -> tuple[FactResult, ...]:
    """Return the results that the request got the first time.

    :raises Conflict: ``idempotency_key_reused``: the key was used for another request.
    """
    if receipt.fingerprint != idempotency.fingerprint:
        raise key_reused()
    entries: list[dict[str, Any]] = json.loads(receipt.results)
    return tuple(
        FactResult(
            request.path,
            entry["outcome"],
            _fact(entry.get("fact"), request, receipt),
            entry.get("deleted"),
        )
        for entry, request in zip(entries, requests, strict=True)
    )


def key_reused() -> Conflict:
    """Return the refusal of a key that was used for another request."""
    return Conflict(
        "This Idempotency-Key was used for a different request; use a new key for each request.",
        code="idempotency_key_reused",
    )


def _entry(result: FactResult) -> dict[str, Any]:
    """Return what neither the request nor the other fields of the receipt contain."""
    entry: dict[str, Any] = {"outcome": result.outcome}
    if result.deleted is not None:
        entry["deleted"] = result.deleted
    fact = result.fact
    if fact is not None and result.outcome == "unchanged":
        names = ("created_at", "updated_at", "updated_by", "request_id", "version", "revision")
        entry["fact"] = {name: getattr(fact, name) for name in names}
    elif fact is not None and result.outcome == "updated":
        entry["fact"] = {"created_at": fact.created_at, "version": fact.version}
    return entry


def _fact(
    stored: dict[str, Any] | None, request: Put | Delete | DeletePrefix, receipt: Receipt
) -> Fact | None:
    if not isinstance(request, Put):
        return None
    fields: dict[str, Any] = {
        "kind": request.kind,
        "ttl": request.ttl,
        "member": request.member,
        "created_at": receipt.created_at,
        "updated_at": receipt.created_at,
        "updated_by": receipt.updated_by,
        "request_id": receipt.request_id,
        **(stored or {}),
    }
    if request.sensitive:  # the answer does not show the sealed value either
        fact = Fact(path=request.path, text=MASK, sealed="", readers=request.readers, **fields)
    else:
        fact = Fact(path=request.path, text=request.text, **fields)
    return fact if fact.revision else replace(fact, revision=receipt.revision)
