"""Sensitive facts from the request to the stored record and back, with real keys."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factstore.core.errors import (
    Conflict,
    Forbidden,
    NotFound,
    PreconditionFailed,
)
from factstore.core.model.data_key import DATA_KEY
from factstore.core.model.fact import Delete, Fact, Put
from factstore.core.model.precondition import ABSENT, ANY
from factstore.core.model.receipt import Receipt
from factstore.core.model.record import RecordKey
from factstore.core.model.secret_readers import SecretReader
from factstore.core.model.value import VALUE_BYTES
from factstore.core.operations.encryption import SEALED_PATTERN, Encryption
from factstore.core.operations.idempotency import Idempotency
from factstore.core.ports import Transaction
from factstore.keys.keyring import RepositoryKeyring
from tests.sealing_keys import Nowhere, lose_keys, sealing_with
from tests.unit.core.factories import SCOPE, ManualClock, author, stack
from tests.unit.core.sensitive import (
    ALL,
    SECRET,
    TEXT,
    another_worker,
    owner,
    put,
    revealed,
    seal_of,
    stored,
)
from tests.unit.core.service import Service

SHARED = Encryption(RepositoryKeyring(Nowhere(), ManualClock()))


@pytest.fixture
def service(keys: Path) -> Service:
    return Service(encryption=sealing_with(keys))


# Stored records


def test_no_stored_record_contains_the_value(service: Service) -> None:
    put(service)
    records = repr(service.store.known.mutations())
    assert SECRET not in records
    assert stored(service).text == "null"
    assert stored(service).sensitive
    assert SEALED_PATTERN.fullmatch(stored(service).sealed or "")


@pytest.mark.parametrize("value", [0, "", None, [], True, {}, "\u20ac", 10, 100])
def test_the_smallest_values_can_be_opened_again(service: Service, value: object) -> None:
    put(service, value=value)
    assert json.loads(revealed(service)) == value


@given(st.text(max_size=40), st.lists(st.sampled_from(["group/a", "member/b"]), unique=True))
def test_a_sealed_value_can_be_opened_again(value: str, readers: list[str]) -> None:
    value = "".join(c for c in value if c != "\0" and not "\ud800" <= c <= "\udfff")
    made = Put.of("p", value, sensitive=True, readers=readers)
    made_stack = stack(created=0)
    sealed = SHARED.seal(made_stack, None, [made], {"p": None}, ALL)
    (request,), (seal,) = sealed.requests, sealed.records
    assert isinstance(request, Put)
    fact = Fact(
        "p",
        request.text,
        "observed",
        "",
        "",
        "",
        "",
        sealed=request.sealed,
        readers=request.readers,
    )
    assert SHARED.open(made_stack, seal, fact) == made.text


def test_the_largest_value_can_be_sealed(service: Service) -> None:
    largest = "x" * (VALUE_BYTES - 2)
    put(service, value=largest)
    assert revealed(service) == f'"{largest}"'
    assert stored(service).size > VALUE_BYTES, "what is stored is what counts"


def test_the_data_key_is_created_with_the_first_sensitive_fact_and_kept(service: Service) -> None:
    put(service, "open", sensitive=False)
    assert service.store.known.record(SCOPE, DATA_KEY) is None
    put(service)
    first = seal_of(service)
    assert first.revision == stored(service).revision, "in the very same write"
    put(service, "another")
    assert seal_of(service) == first


def test_equal_values_are_sealed_to_different_texts(service: Service) -> None:
    put(service, "a")
    put(service, "b")
    assert stored(service, "a").sealed != stored(service, "b").sealed


def test_concurrent_first_writes_use_one_data_key(service: Service, keys: Path) -> None:
    put(service, "open", sensitive=False)

    def other_comes_first(commit: Transaction, deadline: float) -> int | None:
        assert commit.record_revisions == {DATA_KEY: 0}
        put(another_worker(service, keys), "theirs")
        return service.store.backend.commit(commit, deadline)

    service.store.faults.append(other_comes_first)
    put(service, "ours")
    assert revealed(service, "theirs") == revealed(service, "ours") == TEXT


def test_a_recreated_stack_has_another_data_key(service: Service) -> None:
    put(service)
    first = seal_of(service)
    service.stacks.delete(SCOPE, owner())
    put(service)
    assert seal_of(service).wrapped != first.wrapped
    assert revealed(service) == TEXT


# Changes


def test_writing_the_same_value_again_changes_nothing(service: Service) -> None:
    first = put(service, readers=["member/c1", "group/head"])
    again = put(service, readers=["group/head", "member/c1"])
    assert again.results[0].outcome == "unchanged"
    assert again.results[0].fact == first.results[0].fact == stored(service)


@pytest.mark.parametrize(
    "change",
    [
        {"value": "other"},
        {"readers": ["group/head"]},
        {"kind": "parameter"},
        {"ttl": 60},
        {"sensitive": False},
    ],
)
def test_any_difference_is_a_change(service: Service, change: dict[str, object]) -> None:
    first = stored_after(service, {})
    second = stored_after(service, change)
    assert second.version == first.version + 1
    assert revealed(service) == ('"other"' if "value" in change else TEXT)


def stored_after(service: Service, change: dict[str, object]) -> Fact:
    put(service, **change)  # type: ignore[arg-type]
    return stored(service)


def test_a_fact_can_become_sensitive(service: Service) -> None:
    put(service, sensitive=False)
    assert put(service).results[0].outcome == "updated"
    assert stored(service).text == "null"


def test_a_writer_who_may_not_see_the_value_learns_nothing_from_writing_it_again(
    service: Service,
) -> None:
    put(service)
    blind = put(service, by=author())
    assert blind.results[0].outcome == "updated"
    assert revealed(service) == TEXT


def test_writing_the_same_value_again_as_a_reader_changes_nothing(service: Service) -> None:
    holder = replace(author(), reader=SecretReader(member="c1"))
    put(service, readers=["member/c1"], by=holder)
    assert put(service, readers=["member/c1"], by=holder).results[0].outcome == "unchanged"
    assert put(service, readers=["member/c1"], by=owner()).results[0].outcome == "unchanged"


def test_a_batch_seals_sensitive_facts_only(service: Service) -> None:
    requests = [Put.of("a", SECRET, sensitive=True), Put.of("b", "plain"), Delete("c")]
    service.facts.batch(SCOPE, requests, [], owner())
    assert revealed(service, "a") == TEXT
    assert (stored(service, "b").text, stored(service, "b").sealed) == ('"plain"', None)


def test_a_precondition_is_checked_before_a_key_is_needed(service: Service, keys: Path) -> None:
    put(service)
    lose_keys(keys, 0, 1)
    with pytest.raises(PreconditionFailed):
        service.facts.put(SCOPE, Put.of("password", 1, sensitive=True), owner(), ABSENT)


# Readers


def test_a_value_is_revealed_to_permitted_readers_only(service: Service) -> None:
    put(service, readers=["group/head"])
    assert revealed(service, reader=SecretReader(member="h", group="head")) == TEXT
    with pytest.raises(Forbidden) as refused:
        revealed(service, reader=SecretReader(member="c1", group="compute"))
    assert SECRET not in refused.value.detail


def test_the_current_value_of_a_fact_is_revealed_even_if_it_has_changed(service: Service) -> None:
    put(service)
    put(service, value="newer")
    found, value = service.facts.reveal(SCOPE, "password", ALL)
    assert (found.fact, value) == (stored(service), '"newer"')
    put(service, value="open", sensitive=False)
    found, value = service.facts.reveal(SCOPE, "password", SecretReader())
    assert (found.fact, value) == (stored(service), '"open"')
    service.facts.delete(SCOPE, "password", owner(), ANY)
    with pytest.raises(NotFound):
        service.facts.reveal(SCOPE, "password", ALL)


# Requests with an idempotency key


def test_a_retry_gets_the_same_response_and_is_carried_out_once(service: Service) -> None:
    key = Idempotency("key", "print")
    first = put(service, idempotency=key, readers=["group/head"])
    again = put(service, idempotency=key, readers=["group/head"])
    assert again.revision == first.revision
    (result,), (before,) = again.results, first.results
    assert result.outcome == "created"
    assert result.fact is not None
    assert before.fact is not None
    assert (result.fact.sensitive, result.fact.readers) == (True, ("group/head",))
    assert (result.fact.revision, result.fact.text) == (before.fact.revision, "null")


def test_the_stored_fingerprint_does_not_confirm_a_guessed_value(
    service: Service,
) -> None:
    put(service, idempotency=Idempotency("key", "print"))
    receipt = service.store.known.record(SCOPE, RecordKey(Receipt, "key"))
    assert isinstance(receipt, Receipt)
    assert "print" not in receipt.fingerprint


def test_an_idempotency_key_of_another_request_is_refused(service: Service) -> None:
    put(service, idempotency=Idempotency("key", "print"))
    with pytest.raises(Conflict) as refused:
        put(service, idempotency=Idempotency("key", "other"))
    assert refused.value.code == "idempotency_key_reused"


def test_an_idempotency_key_of_a_request_to_a_deleted_stack_is_new(service: Service) -> None:
    first = put(service, idempotency=Idempotency("key", "print"))
    service.stacks.delete(SCOPE, owner())
    again = put(service, idempotency=Idempotency("key", "print"))
    assert (again.results[0].outcome, again.revision > first.revision) == ("created", True)


def test_a_write_whose_response_was_lost_is_found_with_its_sealed_value(service: Service) -> None:
    service.store.faults.append(service.lost_answer)
    written = put(service)
    assert written.results[0].outcome == "created"
    assert revealed(service) == TEXT


def test_a_lost_request_is_written_again_with_its_data_key(service: Service) -> None:
    service.store.faults.append(service.lost_request)
    put(service)
    assert revealed(service) == TEXT
