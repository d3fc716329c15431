"""Retries, and the errors that the transport raises."""

from __future__ import annotations

import re
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler

import pytest
from keystoneauth1 import exceptions

from factstore.client import errors
from factstore.cmd.processes.ports import free_port
from tests.unit.client.stub import FakeClock, Service, answer, fact, hang_up, refusal, stack_at

IP = "nodes/c1/ip"
OK = answer(200, fact(IP, "10.0.0.1"))
BUSY = refusal(503, "store_unavailable", {"Retry-After": "7"})
LOST = refusal(504, "outcome_unknown")

Step = Callable[[BaseHTTPRequestHandler], None]


def test_requests_name_the_version_and_use_paths_below_v1(
    service: Service, clock: FakeClock
) -> None:
    service.will(OK)
    service.stack(clock).get(IP)
    (call,) = service.calls
    assert call.path == "/v1/stacks/slurm/facts/nodes/c1/ip"
    assert call.headers["OpenStack-API-Version"] == "contextualization 1.0"


@pytest.mark.parametrize("end", ["/", "/v1", "/v1/", "/proxied/v1"])
def test_an_endpoint_may_end_with_v1(service: Service, clock: FakeClock, end: str) -> None:
    service.will(OK)
    stack_at(service.url + end, clock).get(IP)
    before = end.rstrip("/").removesuffix("/v1")
    assert service.calls[0].path == f"{before}/v1/stacks/slurm/facts/nodes/c1/ip"


@pytest.mark.parametrize("busy", [BUSY, refusal(429, "rate_limited", {"Retry-After": "7"})])
def test_a_read_is_repeated_after_the_pause_that_the_service_states(
    service: Service, clock: FakeClock, busy: Step
) -> None:
    service.will(busy, OK)
    assert service.stack(clock).get(IP).value == "10.0.0.1"
    assert 7 <= clock.pauses[0] < 8


def test_a_write_is_repeated_while_nothing_was_written(service: Service, clock: FakeClock) -> None:
    service.will(BUSY, BUSY, OK)
    assert service.stack(clock).put(IP, "10.0.0.1").value == "10.0.0.1"
    assert [call.body for call in service.calls] == [{"value": "10.0.0.1"}] * 3


def test_a_request_fails_if_the_service_stays_unavailable(
    service: Service, clock: FakeClock
) -> None:
    service.will(*[BUSY] * 3)
    with pytest.raises(errors.Unavailable) as raised:
        service.stack(clock, retry_for=20).get(IP)
    assert raised.value.code == "contextualization.store_unavailable"
    assert clock.now <= 1020


def test_pauses_grow_when_the_service_states_none(service: Service, clock: FakeClock) -> None:
    service.will(*[answer(503, b"<h1>busy</h1>")] * 4, OK)
    service.stack(clock).get(IP)
    assert clock.pauses[0] <= 0.25 < 0.5 <= clock.pauses[3] <= 2


@pytest.mark.parametrize("lost", [LOST, answer(502, b"bad gateway"), hang_up])
def test_a_write_is_not_repeated_after_a_lost_answer(
    service: Service, clock: FakeClock, lost: Step
) -> None:
    service.will(lost)
    with pytest.raises(errors.OutcomeUnknown):
        service.stack(clock).put(IP, "10.0.0.1")
    assert len(service.calls) == 1


@pytest.mark.parametrize("lost", [LOST, answer(502, b"bad gateway"), hang_up])
def test_a_write_with_an_idempotency_key_is_repeated(
    service: Service, clock: FakeClock, lost: Step
) -> None:
    service.will(lost, OK)
    service.stack(clock).put(IP, "10.0.0.1", idempotency_key="k-1")
    assert [call.headers["Idempotency-Key"] for call in service.calls] == ["k-1", "k-1"]


@pytest.mark.parametrize("lost", [LOST, answer(502, b"bad gateway"), hang_up])
def test_a_read_is_repeated_after_a_lost_answer(
    service: Service, clock: FakeClock, lost: Step
) -> None:
    service.will(lost, OK)
    assert service.stack(clock).get(IP).value == "10.0.0.1"


def test_a_truncated_answer_counts_as_lost(service: Service, clock: FakeClock) -> None:
    def cut(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b'{"path":')

    service.will(cut, OK, cut)
    stack = service.stack(clock)
    assert stack.get(IP).value == "10.0.0.1"
    with pytest.raises(errors.OutcomeUnknown):
        stack.put(IP, "10.0.0.1")


def test_a_refused_connection_means_that_nothing_was_written(clock: FakeClock) -> None:
    with pytest.raises(errors.Unavailable):
        stack_at(f"http://127.0.0.1:{free_port()}", clock, retry_for=5).put(IP, "10.0.0.1")
    assert clock.pauses


def test_a_repeated_wait_lasts_for_the_remaining_time(service: Service, clock: FakeClock) -> None:
    service.will(BUSY, OK)
    service.stack(clock).get(IP, wait=20)
    assert service.calls[0].query["wait"] == "20"
    assert 12 <= int(service.calls[1].query["wait"]) <= 13


@pytest.mark.parametrize("body", [b"", b"{", b"<html>", b"[]", b'"text"', b"\xff", b"{}"])
def test_an_answer_that_is_not_a_document_is_unexpected(
    service: Service, clock: FakeClock, body: bytes
) -> None:
    service.will(answer(200, body))
    with pytest.raises(errors.UnexpectedAnswer):
        service.stack(clock).get(IP)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.BadRequest),
        (401, errors.Unauthorized),
        (403, errors.Forbidden),
        (404, errors.NotFound),
        (405, errors.BadRequest),
        (406, errors.BadRequest),
        (409, errors.Conflict),
        (410, errors.Gone),
        (412, errors.PreconditionFailed),
        (413, errors.TooLarge),
        (415, errors.BadRequest),
        (418, errors.UnexpectedAnswer),
        (500, errors.UnexpectedAnswer),
    ],
)
def test_a_refusal_is_named_and_not_repeated(
    service: Service, clock: FakeClock, status: int, kind: type[errors.FactstoreError]
) -> None:
    # Earlier services sent this type; the other tests have JSON.
    media_type = {"Content-Type": "application/problem+json"}
    service.will(refusal(status, "some_words", media_type, field="value"))
    with pytest.raises(kind) as raised:
        service.stack(clock).put(IP, 1)
    error = raised.value
    assert type(error) is kind
    assert (error.status, error.code) == (status, "contextualization.some_words")
    assert (error.detail, error.request_id) == ("about some_words", "req-1")
    assert error.members == {"field": "value"}


def test_a_failed_precondition_carries_the_present_etag(service: Service, clock: FakeClock) -> None:
    service.will(refusal(412, "precondition_failed", etag="e.9"))
    with pytest.raises(errors.PreconditionFailed) as raised:
        service.stack(clock).put(IP, 1, if_match="e.8")
    assert raised.value.etag == "e.9"
    assert service.calls[0].headers["If-Match"] == '"e.8"'


@pytest.mark.parametrize(
    "body", [b"", b"<html>no", b"{}", b'{"errors": []}', b'{"errors": [1]}', b"[]"]
)
def test_an_unexpected_error_body_is_reported(
    service: Service, clock: FakeClock, body: bytes
) -> None:
    service.will(answer(403, body, {"X-Openstack-Request-Id": "req-7"}))
    with pytest.raises(errors.Forbidden) as raised:
        service.stack(clock).get(IP)
    assert "403" in str(raised.value)
    assert raised.value.code is None
    assert raised.value.request_id == "req-7"


def test_a_missing_endpoint_is_raised_as_keystoneauth_does(clock: FakeClock) -> None:
    with pytest.raises(exceptions.EndpointNotFound):
        stack_at(None, clock).get(IP)


def test_retries_are_logged_before_long_and_counted_in_the_error(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(
        errors.Unavailable, match=rf"Unable to establish connection to {url}: Connection refused\."
    ) as e:
        stack_at(url, clock, retry_for=20).get(IP)
    assert re.search(r" Tried [0-9]+ times in [0-9]+ s\.$", str(e.value))
    assert e.value.detail == str(e.value)
    quiet = len(clock.pauses) - len(caplog.records)
    assert sum(clock.pauses[:quiet]) <= 1 < sum(clock.pauses[: quiet + 1])
    assert "trying again for up to" in caplog.messages[0]


def test_a_single_attempt_is_neither_logged_nor_counted(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(errors.Unavailable, match=r"refused\.$"):
        stack_at(f"http://127.0.0.1:{free_port()}", clock, retry_for=0).get(IP)
    assert not caplog.records
