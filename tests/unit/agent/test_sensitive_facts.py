"""Sensitive facts: fetched once, inserted everywhere, and redacted in texts."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from factstore.agent.apply.sensitive_facts import SensitiveFacts
from factstore.client import errors
from tests.unit.client.stub import FakeClock, Service, answer, fact, refusal

PATH = "nodes/head/munge/key"


def document(**named: str) -> dict[str, object]:
    facts = {"nodes": {"head": {"munge": {"key": None}, "ip": "10.0.0.5"}}, "top": None}
    return {
        "stack": "slurm",
        "facts": facts,
        "members": {"head": {"group": "head"}, "c1": {"group": "compute"}},
        "self": {"name": "c1", "facts": {}},
        "peers": {"head": {"head": {"facts": copy.deepcopy(facts["nodes"]["head"])}}},  # type: ignore[index]
        "sensitive": {name.replace("__", "/"): etag for name, etag in named.items()},
    }


@pytest.fixture
def sealed(service: Service, clock: FakeClock) -> SensitiveFacts:
    return SensitiveFacts(service.stack(clock, retry_for=0.0))


def test_a_value_is_inserted_wherever_the_fact_appears(
    sealed: SensitiveFacts, service: Service
) -> None:
    service.will(answer(200, fact(PATH, "s3cret")))
    closed = document(nodes__head__munge__key="e.1")
    opened = sealed.reveal(closed)
    assert opened["facts"]["nodes"]["head"]["munge"]["key"] == "s3cret"
    assert opened["peers"]["head"]["head"]["facts"]["munge"]["key"] == "s3cret"
    assert closed == document(nodes__head__munge__key="e.1")


def test_the_members_own_facts_are_revealed(sealed: SensitiveFacts, service: Service) -> None:
    closed = document(nodes__head__munge__key="e.1")
    closed["self"] = {"name": "head", "facts": {"munge": {"key": None}}}
    closed["peers"] = {}
    service.will(answer(200, fact(PATH, "s3cret")))
    assert sealed.reveal(closed)["self"]["facts"] == {"munge": {"key": "s3cret"}}


def test_a_value_is_fetched_once_until_it_changes(sealed: SensitiveFacts, service: Service) -> None:
    service.will(answer(200, fact("top", "first")))
    for _ in range(3):
        assert sealed.reveal(document(top="e.1"))["facts"]["top"] == "first"
    service.will(answer(200, fact("top", "second")))
    assert sealed.reveal(document(top="e.2"))["facts"]["top"] == "second"
    assert len(service.calls) == 2


@pytest.mark.parametrize(("status", "code"), [(403, "forbidden"), (404, "not_found")])
def test_a_forbidden_or_missing_value_stays_null_and_is_not_requested_again(
    sealed: SensitiveFacts, service: Service, status: int, code: str
) -> None:
    service.will(refusal(status, code))
    for _ in range(2):
        assert sealed.reveal(document(top="e.1"))["facts"]["top"] is None


def test_a_value_that_cannot_be_fetched_now_is_an_error(
    sealed: SensitiveFacts, service: Service
) -> None:
    service.will(refusal(503, "unavailable"))
    with pytest.raises(errors.Unavailable):
        sealed.reveal(document(top="e.1"))
    service.will(answer(200, fact("top", "at last")))
    assert sealed.reveal(document(top="e.1"))["facts"]["top"] == "at last"


def test_secrets_and_their_lines_are_redacted(sealed: SensitiveFacts, service: Service) -> None:
    key = "-----BEGIN KEY-----\nabcdefgh\n-----END KEY-----\n"
    service.will(answer(200, fact("top", {"key": key, "pin": 123456, "on": True, "s": "ab"})))
    sealed.reveal(document(top="e.1"))
    assert sealed.redact("it said abcdefgh and 123456, true, ab") == "it said *** and ***, true, ab"
    assert sealed.occur_in(f"file\n{key}")
    assert not sealed.occur_in("nothing of it, true, ab")


def test_without_sensitive_facts_no_request_is_sent(sealed: SensitiveFacts, tmp_path: Path) -> None:
    plain = document()
    del plain["sensitive"]
    assert sealed.reveal(plain) == plain
    assert sealed.redact("text") == "text"
