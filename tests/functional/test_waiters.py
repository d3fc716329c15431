"""Waiting for a waiter over HTTP, and signalling to one as programs that are out there do."""

from __future__ import annotations

import subprocess
from http import HTTPStatus
from typing import Any

import pytest

from tests.functional.test_blocking_queries import waiting
from tests.http import Caller, check_refusal, refused
from tests.service import ApiServer

PRESENT = {"success": {"facts": "n/*", "present": True, "count": 2}}
TWO_SIGNALS = {"success": {"signals": 2}}


def armed(api: Caller, stack: str, **body: Any) -> dict[str, Any]:
    answer = api.put(f"{stack}/waiters/w", json=body)
    assert answer.status_code in (HTTPStatus.OK, HTTPStatus.CREATED), answer.text
    document: dict[str, Any] = answer.json()
    return document


def decided(api: Caller, stack: str) -> dict[str, Any]:
    """The waiter once it is terminal, as a client waits for that."""
    while True:
        document: dict[str, Any] = api.get(f"{stack}/waiters/w?wait=20").json()
        if document["state"] != "pending":
            return document


# Waiting


def test_a_wait_for_a_missing_waiter_ends_when_it_is_created(api: Caller, stack: str) -> None:
    with waiting(api, f"{stack}/waiters/w?wait=30") as (waiter,):
        armed(api, stack, **PRESENT)
        answer = waiter.answer()
    assert (answer.status, answer.json()["state"]) == (HTTPStatus.OK, "pending")


def test_a_waiting_get_returns_with_the_first_progress(api: Caller, stack: str) -> None:
    armed(api, stack, **PRESENT)
    with waiting(api, f"{stack}/waiters/w?wait=30") as (waiter,):
        api.put(f"{stack}/facts/other", 1)
        api.put(f"{stack}/facts/n/1", 1)
        answer = waiter.answer()
    assert (answer.json()["state"], answer.json()["satisfied"]) == ("pending", 1)
    with waiting(api, f"{stack}/waiters/w?wait=30", f"If-None-Match: {answer.headers['ETag']}") as (
        waiter,
    ):
        api.put(f"{stack}/facts/other", 2)
        api.put(f"{stack}/facts/n/2", 1)
        answer = waiter.answer()
    assert answer.json()["satisfied"] == 2
    assert decided(api, stack)["state"] == "met"


def test_a_waiter_that_is_decided_is_not_waited_for(api: Caller, stack: str) -> None:
    armed(api, stack, success={"facts": "a", "present": True})
    api.put(f"{stack}/facts/a", 1)
    assert decided(api, stack)["state"] == "met"
    assert api.get(f"{stack}/waiters/w?wait=50").json()["state"] == "met"


def test_a_deletion_ends_the_wait_for_a_change_of_a_waiter(api: Caller, stack: str) -> None:
    armed(api, stack, **PRESENT)
    tag = api.get(f"{stack}/waiters/w").headers["ETag"]
    with waiting(api, f"{stack}/waiters/w?wait=30", f"If-None-Match: {tag}") as (waiter,):
        api.delete(f"{stack}/waiters/w").raise_for_status()
        answer = waiter.answer()
    check_refusal(answer.status, answer.headers, answer.json(), "404 not_found")
    assert answer.headers["Retry-After"] == "1"


def test_fifty_waits_for_a_waiter_end_when_it_is_met_at_another_service(
    one_worker: ApiServer, two_workers: ApiServer, stack: str
) -> None:
    with Caller(one_worker.url) as here, Caller(two_workers.url) as there:
        armed(here, stack, success={"facts": "a", "present": True})
        with (
            waiting(here, f"{stack}/waiters/w?wait=40", count=25) as near,
            waiting(there, f"{stack}/waiters/w?wait=40", count=25) as far,
        ):
            put = there.put(f"{stack}/facts/a", 1).json()
            answers = [waiter.answer().json() for waiter in [*near, *far]]
        assert {answer["satisfied"] for answer in answers} == {1}
        assert decided(here, stack)["decided_revision"] == put["revision"]
        assert decided(there, stack) == decided(here, stack)


# Signalling


def curl(*arguments: str) -> tuple[int, str]:
    """Status and body of what curl asked for."""
    done = subprocess.run(
        ["curl", "-q", "-sS", "--noproxy", "*", "-i", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    head, _, body = done.stdout.replace("\r\n", "\n").partition("\n\n")
    return int(head.split()[1]), body


def test_the_line_that_heat_gives_to_instances_signals(
    server: ApiServer, api: Caller, stack: str
) -> None:
    """``wc_notify`` of OS::Heat::WaitConditionHandle's ``curl_cli``."""
    armed(api, stack, **TWO_SIGNALS)
    url = f"{server.url}{stack}/waiters/w/signal"
    line = [
        *("-X", "POST", "-H", "X-Auth-Token: none", "-H", "Content-Type: application/json"),
        *("-H", "Accept: application/json", url),
    ]
    for _ in range(2):  # without an id each counts
        status, _ = curl(*line, "--data-binary", '{"status": "SUCCESS"}')
        assert status == HTTPStatus.OK
    met = decided(api, stack)
    assert met["state"] == "met"
    assert {signal["status"] for signal in met["signals"].values()} == {"SUCCESS"}
    assert len(met["signals"]) == 2


def test_the_line_that_signals_to_cloudformation_signals(
    server: ApiServer, api: Caller, stack: str
) -> None:
    """Signals as of ``cfn-signal``, without a content type."""
    armed(api, stack, **TWO_SIGNALS)
    sent = '{"Status":"SUCCESS","Reason":"ok","UniqueId":"i-1","Data":"x"}'
    url = f"{server.url}{stack}/waiters/w/signal"
    for _ in range(2):  # the same id counts once
        status, _ = curl("-X", "PUT", "-H", "Content-Type:", "--data-binary", sent, url)
        assert status == HTTPStatus.OK
    document = api.get(f"{stack}/waiters/w").json()
    assert (document["state"], document["satisfied"]) == ("pending", 1)
    signal = document["signals"]["i-1"]
    assert (signal["status"], signal["reason"], signal["data"]) == ("SUCCESS", "ok", "x")


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "application/json"]
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_signal_is_read_as_json_whatever_its_content_type_and_an_empty_one_is_success(
    api: Caller, stack: str, method: str, kind: str
) -> None:
    armed(api, stack, success={"signals": 3})
    headers = {"Content-Type": kind} if kind else {}
    for body in (b"", b"{}", b'{"id": 7}'):
        answer = api(method, f"{stack}/waiters/w/signal", data=body, headers=headers)
        assert answer.status_code == HTTPStatus.OK, answer.text
    assert answer.json()["satisfied"] == 3
    assert answer.json()["signals"]["7"]["reason"] == "Signal 3 received"


def test_a_failure_arrives_however_long_its_texts_are(api: Caller, stack: str) -> None:
    long = "a line of a log\n" * 20_000
    sent = {"status": "FAILURE", "reason": long, "data": {"log": long}, "id": long}
    for method in ("POST", "PUT"):
        armed(api, stack, **TWO_SIGNALS)
        answer = api(method, f"{stack}/waiters/w/signal", json=sent)
        assert answer.status_code == HTTPStatus.OK, answer.text
        (signal,) = answer.json()["signals"].values()
        assert signal["reason"].endswith("... [cut from 320000 characters]")
        assert " [cut from " in signal["data"]
        assert api.get(f"{stack}/waiters/w?wait=5").json()["state"] == "failed"
        api.delete(f"{stack}/waiters/w").raise_for_status()


BAD_SIGNALS = {
    "no JSON": (b"SUCCESS", "400 json_invalid"),
    "a list": (b"[]", "400 schema"),
    "null": (b"null", "400 schema"),
    "an unknown status": (b'{"status": "WARNING"}', "400 schema"),
    "a status in small letters": (b'{"status": "success"}', "400 schema"),
    "a status that is null": (b'{"status": null}', "400 schema"),
    "a field that nobody knows": (b'{"state": "SUCCESS"}', "400 schema"),
    "words of both": (b'{"Status": "SUCCESS", "id": "1"}', "400 schema"),
    "a reason that is no text": (b'{"reason": 1}', "400 schema"),
    "an empty id": (b'{"id": ""}', "400 schema"),
    "an id that is true": (b'{"id": true}', "400 schema"),
    "a key twice": (b'{"id": "1", "id": "1"}', "400 json_duplicate_key"),
}


@pytest.mark.parametrize("bad", BAD_SIGNALS.values(), ids=BAD_SIGNALS.keys())
def test_an_invalid_signal_is_refused_and_not_stored(
    api: Caller, stack: str, bad: tuple[bytes, str]
) -> None:
    before = armed(api, stack, **TWO_SIGNALS)
    body, expected = bad
    refused(api.post(f"{stack}/waiters/w/signal", data=body), expected)
    assert api.get(f"{stack}/waiters/w").json() == before


def test_a_signal_of_another_type_is_refused(api: Caller, stack: str) -> None:
    armed(api, stack, **TWO_SIGNALS)
    for kind in ("application/xml", "text/html", ";"):
        answer = api.post(f"{stack}/waiters/w/signal", data=b"{}", headers={"Content-Type": kind})
        refused(answer, "415 media_type")
    packed = {"Content-Encoding": "gzip"}
    refused(api.post(f"{stack}/waiters/w/signal", data=b"{}", headers=packed), "415 media_type")
