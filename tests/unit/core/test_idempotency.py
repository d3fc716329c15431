"""The receipt of a write with an ``Idempotency-Key``."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from factstore.core.errors import Conflict, FactstoreError
from factstore.core.model.fact import Delete
from factstore.core.model.fact_result import FactResult
from factstore.core.model.precondition import ANY
from factstore.core.model.quota import Quota
from factstore.core.model.receipt import RETENTION, SHARED_SECONDS, Receipt
from factstore.core.model.record import RecordKey
from factstore.core.operations.idempotency import (
    Idempotency,
    earlier_receipt,
    new_receipt,
    results_of,
)
from tests.unit.core.factories import ALICE, NOW, SCOPE, fact, put
from tests.unit.core.planning import plan_facts
from tests.unit.core.service import Service

KEY = Idempotency("key", "print")
REQUESTS = [
    put("new", "a secret"),
    put("old", 1),
    put("same", 2, ttl=60),
    Delete("gone"),
    Delete("no"),
]
NEW = fact("new", "a secret", 9, updated_by="alice", request_id="req-alice")
RESULTS = [
    FactResult("new", "created", NEW),
    FactResult("old", "updated", replace(NEW, path="old", text="1", created_at="then", version=4)),
    FactResult("same", "unchanged", fact("same", 2, 5, ttl=60, version=3)),
    FactResult("gone", "deleted"),
    FactResult("no", "absent"),
]


def stored() -> Receipt:
    return replace(new_receipt(KEY, RESULTS, ALICE, NEW.created_at), revision=9)


def test_a_retry_gets_the_first_results_with_their_revisions() -> None:
    assert list(results_of(stored(), KEY, REQUESTS)) == RESULTS


def test_a_receipt_of_an_earlier_version_has_the_same_results() -> None:
    fields = ("kind", "created_at", "updated_at", "updated_by", "request_id", "ttl", "member")
    entries = [
        {
            "path": each.path,
            "outcome": each.outcome,
            "fact": {n: asdict(each.fact)[n] for n in (*fields, "version", "revision")}
            if each.fact
            else None,
        }
        for each in RESULTS
    ]
    value = json.dumps({"fingerprint": "print", "results": entries}).encode()
    assert list(results_of(earlier_receipt("key", value, 9), KEY, REQUESTS)) == RESULTS


def test_an_idempotency_key_is_for_one_request_only() -> None:
    with pytest.raises(Conflict) as refused:
        results_of(stored(), Idempotency("key", "another"), REQUESTS)
    assert refused.value.code == "idempotency_key_reused"


def test_values_are_not_stored() -> None:
    assert "secret" not in str(stored())


# In the transactor


def keyed(service: Service, path: str, value: object, key: str) -> str:
    try:
        request = put(path, value)
        written = service.facts.put(SCOPE, request, ALICE, ANY, Idempotency(key, f"{path}={value}"))
    except FactstoreError as error:
        return error.code
    return written.results[0].outcome


def receipts(service: Service) -> list[Receipt]:
    return service.store.known.records(SCOPE, Receipt)


def test_a_write_that_changes_nothing_leaves_no_receipt(service: Service) -> None:
    assert keyed(service, "a", 1, "k1") == "created"
    head = service.head()
    assert [keyed(service, "a", 1, f"no-op-{n}") for n in range(3)] == ["unchanged"] * 3
    with pytest.raises(FactstoreError, match="There is no fact"):
        service.facts.delete(SCOPE, "missing", ALICE, ANY, Idempotency("k2", "delete"))
    assert service.head() == head
    assert [receipt.key for receipt in receipts(service)] == ["k1"]


def test_a_retry_on_an_old_state_finds_the_receipt(service: Service) -> None:
    other = service.another_worker()
    request, key = [Delete("p")], Idempotency("k", "print")
    first = other.facts.batch(SCOPE, request, [], ALICE, key)
    other.facts.put(SCOPE, put("p", 7), ALICE, ANY)
    again = service.facts.batch(SCOPE, request, [], ALICE, key)
    assert (again.revision, again.results) == (first.revision, first.results)
    assert service.value("p") == "7"
    # A confirmation, too, is not made without the receipt.
    other.facts.delete(SCOPE, "p", ALICE, ANY)
    service.store.known = service.another_worker().facts._store.state()  # type: ignore[assignment]
    assert service.facts.batch(SCOPE, request, [], ALICE, key).results == first.results


def test_receipts_count_by_their_bytes_and_end_with_their_stack_or_lease(service: Service) -> None:
    before = service.store.known.project_usage(SCOPE.project_id)
    assert keyed(service, "p", 5, "k") == "updated"
    after = service.store.known.project_usage(SCOPE.project_id)
    (receipt,) = receipts(service)
    assert receipt.size is not None
    assert (after.facts, after.bytes) == (before.facts, before.bytes + receipt.size)
    assert receipt.size > len(receipt.results)
    service.clock.advance(RETENTION + SHARED_SECONDS + 1)
    service.store.refresh(0)
    assert receipts(service) == []
    assert service.store.known.project_usage(SCOPE.project_id) == before
    keyed(service, "p", 6, "k")
    service.stacks.delete(SCOPE, ALICE)
    assert keyed(service, "p", 6, "k") == "created"


def test_receipts_of_the_same_time_share_a_lease_that_is_not_renewed(service: Service) -> None:
    for n in range(4):
        keyed(service, "p", n + 1, f"k{n}")
        service.clock.advance(SHARED_SECONDS * 2 / 3)
    leases = [receipt.lease for receipt in receipts(service)]
    assert leases[0] == leases[1] != leases[2] == leases[3]
    assert service.store.called.count("create") == 2
    service.clock.advance(RETENTION - SHARED_SECONDS * 5 / 3 + 2)
    service.store.refresh(0)
    assert [receipt.key for receipt in receipts(service)] == ["k2", "k3"]
    service.clock.advance(SHARED_SECONDS * 2)
    service.store.refresh(0)
    assert receipts(service) == []


def test_the_receipt_of_a_removal_is_stored_whatever_the_quota(service: Service) -> None:
    removal = plan_facts(
        service.store.known, [Delete("p")], quota=Quota(bytes=0), now=NOW, idempotency=KEY
    )
    assert [record.record_key for record in removal.commit.records] == [RecordKey(Receipt, "key")]
