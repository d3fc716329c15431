"""The service behaves the same behind the sample proxies and without them."""

from __future__ import annotations

import itertools
import json
import threading
from http import HTTPStatus
from urllib.parse import urljoin

import pytest
import requests

from tests.cases import cases
from tests.eventually import eventually
from tests.functional.test_streams import etag
from tests.grants import issue
from tests.http import REQUEST_ID, Caller, refused
from tests.proxies.conftest import Site
from tests.raw_http import exchange, request_bytes

GLOBAL = "req-01234567-0123-0123-0123-0123456789ab"
MIB = 1024 * 1024


def test_events_arrive_while_the_stream_is_open(site: Site, api: Caller, stack: str) -> None:
    etag(api, f"{stack}/facts/a", 0)
    with site.proxy.stream(f"{stack}/events") as stream:
        assert stream.answer.status == HTTPStatus.OK
        for value in range(1, 4):  # each is read before the next one is made
            tag = etag(api, f"{stack}/facts/a", value)
            assert stream.expect("change").id == tag
        api.delete(stack)
        assert [frame.event for frame in stream.rest()] == ["change", "goodbye"]


def test_a_quiet_stream_is_kept_open(site: Site, api: Caller, stack: str) -> None:
    etag(api, f"{stack}/facts/a", 0)
    with site.proxy.stream(f"{stack}/events") as stream:
        frames = [stream.next_of_any() for _ in range(2)]
        if frames[1] and frames[1].event == "bookmark":  # elsewhere in the store something changed
            frames[1] = stream.next_of_any()
        assert [frame.comment for frame in frames if frame] == ["factstore", "ping"]


def test_a_wait_is_waited_for(site: Site, api: Caller, stack: str) -> None:
    etag(api, f"{stack}/facts/a", 0)
    answers: list[requests.Response] = []

    def wait() -> None:
        with site.proxy.caller() as waiting:
            answers.append(waiting.get(f"{stack}/facts/late?wait=50"))

    waiter = threading.Thread(target=wait)
    waiter.start()
    raw = request_bytes("GET", f"{stack}/facts/never?wait=50")
    with site.proxy.connect() as leaving:
        leaving.sendall(raw)
        # When this one returns, the others wait too.
        refused(api.get(f"{stack}/facts/late?wait=2"), "404 not_found")
    assert not answers
    if site.proxy.kind == "nginx":  # the others do not notice that their client has left
        eventually(lambda: f"GET {stack}/facts/never 499" in site.logs())
    api.put(f"{stack}/facts/late", "came")
    waiter.join()
    (answer,) = answers
    assert (answer.status_code, answer.json()["value"]) == (HTTPStatus.OK, "came")


def test_a_grant_is_forwarded_in_both_spellings_and_not_logged(
    site: Site, api: Caller, stack: str
) -> None:
    grant = issue(api, stack)
    for headers in (grant.bearer, grant.basic):
        with site.proxy.caller(headers) as holder:
            written = holder.put(f"{stack}/facts/nodes/c1/ip", headers["Authorization"][:6])
            assert written.json()["updated_by"] == f"grant:{grant.id}"
            refused(holder.put(f"{stack}/facts/a", 1), "403 forbidden")
    api.delete(f"{stack}/grants/{grant.id}").raise_for_status()
    with site.proxy.caller(grant.bearer) as holder:
        eventually(lambda: not holder.get(f"{stack}/facts/nodes/c1/ip").ok)
        answer = holder.get(f"{stack}/facts/nodes/c1/ip")
        refused(answer, "401 unauthorized")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
    logs = site.logs() + site.proxy.log_path.read_text()
    assert grant.secret not in logs
    assert grant.basic["Authorization"].split()[1] not in logs


ODD = [
    "facts/a%2Fb",
    "facts/a%2fb",
    "facts/a%252Fb",
    "facts//a/b",
    "facts/a//b",
    "/facts/a/b",
    "facts/x/../a/b",
    "facts/./a/b",
    "facts/x/%2e%2e/a/b",
    "facts/%2e/a/b",
    "facts/a/b/",
    "facts/a/b/.",
    "facts/a/b/c/..",
    "facts/a%5Cb",
    "facts/a/b;x",
    "facts/a/b%00",
    "facts/a/b%0d%0a",
]


def test_an_odd_path_is_refused_as_it_was_sent_and_never_becomes_another(
    site: Site, api: Caller, stack: str
) -> None:
    etag(api, f"{stack}/facts/a/b", "must not be found under another name")
    with cases() as case:
        for odd in ODD:
            raw = request_bytes("GET", f"{stack}/{odd}")
            direct, through = exchange(site.services[0].url, raw), site.proxy.exchange(raw)
            with case(odd):
                assert 400 <= direct.status < 500
                assert 400 <= through.status < 500
                if "json" in through.headers.get("Content-Type", ""):
                    codes = [
                        json.loads(each.body)["errors"][0]["code"] for each in (direct, through)
                    ]
                    assert codes[0] == codes[1]
                    assert direct.status == through.status


def test_the_oddest_of_them_reach_the_service(site: Site, api: Caller, stack: str) -> None:
    etag(api, f"{stack}/facts/a/b", 1)
    for odd in ("facts/a%2Fb", "facts//a/b", "facts/x/../a/b"):
        answer = site.proxy.exchange(request_bytes("GET", f"{stack}/{odd}"))
        if site.proxy.kind == "apache" and ".." in odd:
            assert answer.status == HTTPStatus.BAD_REQUEST  # it would tidy that up
            continue
        assert answer.headers[REQUEST_ID]
        line = f"GET {stack}/{odd} {answer.status}"
        eventually(lambda line=line: line in site.logs())  # type: ignore[misc]


def test_the_console_is_served_as_without_a_proxy(site: Site, api: Caller) -> None:
    entrance = f"{site.proxy.url}/console"
    assert urljoin(entrance, api.get("/console").headers["Location"]) == f"{entrance}/"
    assert "<title>factstore</title>" in api.get("/console/").text
    assert api.get("/console/lib/api.js").headers["Content-Type"].startswith("text/javascript")
    assert api.get("/console/session").json()["auth"] == "none"
    refused(api.post("/console/session", json={"token": "x"}), "404 not_found")  # without Keystone
    assert not api.get("/consoles").ok


INSIDE = ["healthcheck", "healthcheck/live", "metrics"]
DISGUISES = [
    "/{}",
    "/{}?x=1",
    "/{}/",
    "//{}",
    "/./{}",
    "/v1/../{}",
    "/v1/%2e%2e/{}",
    "/v1/..%2f{}",
    "/v1/..//{}",
    "/console/../{}",
    "/console/%2e%2e/{}",
    "/%{first:02x}{rest}",
    "http://localhost/{}",
    "http://localhost/v1/../{}",
]


def test_internal_pages_are_not_served_outside(site: Site) -> None:
    with cases() as case:
        for name, disguise, method in itertools.product(INSIDE, DISGUISES, ("GET", "HEAD", "POST")):
            target = disguise.format(name, first=ord(name[0]), rest=name[1:])
            raw = request_bytes(method, target, "Accept: text/plain", "Content-Length: 0")
            answer = site.proxy.exchange(raw, method)
            with case(f"{method} {target}"):
                assert 400 <= answer.status < 500
                assert b"etcd answers" not in answer.body
                assert b"alive" not in answer.body


def padded(size: int) -> bytes:
    """Return a JSON body of so many bytes."""
    head, tail = b'{"value": 1', b"}"
    return head + b" " * (size - len(head) - len(tail)) + tail


@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_up_to_one_mebibyte_pass_and_no_larger_ones(
    site: Site, api: Caller, stack: str, chunked: bool
) -> None:
    def put(size: int) -> requests.Response:
        body = padded(size)
        pieces = (body[at : at + 50_000] for at in range(0, size, 50_000))
        headers = {"Content-Type": "application/json"}
        return api("PUT", f"{stack}/facts/a", data=pieces if chunked else body, headers=headers)

    assert put(MIB).status_code == HTTPStatus.CREATED
    refused(put(MIB + 1), "413 too_large")
    assert put(MIB).status_code == HTTPStatus.OK


def test_a_body_beyond_all_measure_is_refused_too(site: Site, stack: str) -> None:
    raw = request_bytes("PUT", f"{stack}/facts/a", f"Content-Length: {3 * MIB}")
    if site.proxy.kind != "nginx":  # which alone refuses before it has seen the rest
        raw += padded(3 * MIB)
    assert site.proxy.exchange(raw, "PUT").status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


def test_request_ids_pass_in_both_directions(site: Site, api: Caller, stack: str) -> None:
    answer = api.put(f"{stack}/facts/a", 1, headers={REQUEST_ID: GLOBAL})
    own = answer.headers[REQUEST_ID]
    eventually(lambda: f"[{GLOBAL} {own} " in site.logs())


def test_links_carry_the_public_address_whatever_a_caller_claims(
    site: Site, api: Caller, stack: str
) -> None:
    for name in ("a", "b"):
        etag(api, f"{stack}/facts/{name}", 1)
    claims = {
        "Forwarded": "host=evil.example;proto=http;for=192.0.2.1",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "ftp",
        "X-Forwarded-Prefix": "/evil",
        "X-Forwarded-For": "192.0.2.1",
    }
    for headers in ({}, claims):
        versions = api.get("/", headers=headers).json()["versions"]
        assert [link["href"] for link in versions[0]["links"]] == [f"{site.proxy.url}/v1/"]
        created = api.put(f"{stack}/facts/z{len(headers)}", 1, headers=headers)
        assert created.headers["Location"].removeprefix(site.proxy.url).startswith(stack)
        listed = api.get(f"{stack}/facts?limit=1", headers=headers).json()
        following = next(link["href"] for link in listed["links"] if link["rel"] == "next")
        path = following.removeprefix(site.proxy.url)
        assert path.startswith(stack)
        assert [fact["path"] for fact in api.get(path).json()["facts"]] == ["b"]


def test_preconditions_and_their_tags_pass(site: Site, api: Caller, stack: str) -> None:
    tag = api.put(f"{stack}/facts/a", 1).headers["ETag"]
    same = api.get(f"{stack}/facts/a", headers={"If-None-Match": tag})
    assert same.status_code == HTTPStatus.NOT_MODIFIED
    changed = api.put(f"{stack}/facts/a", 2, headers={"If-Match": tag})
    assert changed.status_code == HTTPStatus.OK
    refused(api.put(f"{stack}/facts/a", 3, headers={"If-Match": tag}), "412 precondition_failed")
