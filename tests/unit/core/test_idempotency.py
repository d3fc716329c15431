"""The stored outcome of a write with an ``Idempotency-Key``."""

from __future__ import annotations

import json

import pytest

from factstore.core.errors import Conflict
from factstore.core.model.fact import Delete
from factstore.core.model.fact_result import FactResult
from factstore.core.model.transaction import IdempotencyRecord
from factstore.core.operations.idempotency import Idempotency, decode_results, encode_results
from tests.unit.core.factories import PROJECT, fact, put

KEY = Idempotency("key", "print")
REQUESTS = [put("new", "a secret"), put("same", 2), Delete("gone"), Delete("absent")]
RESULTS = [
    FactResult("new", "created", fact("new", "a secret")),
    FactResult("same", "unchanged", fact("same", 2, 5, ttl=60, version=3)),
    FactResult("gone", "deleted"),
    FactResult("absent", "absent"),
]


def stored() -> IdempotencyRecord:
    made = encode_results(PROJECT, KEY, RESULTS)
    return IdempotencyRecord(made.project_id, made.key, made.text, revision=9)


def test_a_retry_gets_the_first_results_with_their_revisions() -> None:
    created, unchanged, gone, absent = decode_results(stored(), KEY, REQUESTS)
    assert created == FactResult("new", "created", fact("new", "a secret", 9))
    assert unchanged == RESULTS[1]
    assert (gone, absent) == (RESULTS[2], RESULTS[3])


def test_an_idempotency_key_is_for_one_request_only() -> None:
    with pytest.raises(Conflict) as refused:
        decode_results(stored(), Idempotency("key", "another"), REQUESTS)
    assert refused.value.code == "idempotency_key_reused"


def test_values_are_not_stored() -> None:
    assert "secret" not in stored().text
    assert json.loads(stored().text)["fingerprint"] == "print"
