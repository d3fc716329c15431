"""Web pages on other origins: what they may send and read with no option set but their origin."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from factstore.cmd.processes.etcd import EtcdServer
from tests.http import Caller, refused
from tests.service import ApiServer, check_log
from tests.streaming import Stream

PAGE = "https://dashboard.example.org"
SENT = {
    "Authorization",
    "Content-Type",
    "Factstore-Cause",
    "Factstore-Generation",
    "If-Match",
    "If-None-Match",
    "If-Plan",
    "Idempotency-Key",
    "Last-Event-ID",
    "OpenStack-API-Version",
    "X-Auth-Token",
    "X-Openstack-Request-Id",
}


@pytest.fixture(scope="module")
def server(etcd: EtcdServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    options = {"cors": {"allowed_origin": PAGE}}
    state = tmp_path_factory.mktemp("api")
    with ApiServer([etcd.endpoint], state, options=options) as started:
        yield started
        check_log(started)


@pytest.fixture
def page(server: ApiServer) -> Iterator[Caller]:
    """A page of the allowed origin."""
    with Caller(server.url, {"Origin": PAGE}) as caller:
        yield caller


def preflight(caller: Caller, path: str, method: str, *headers: str) -> requests.Response:
    """Send the preflight request of a browser."""
    asked = {"Access-Control-Request-Method": method}
    if headers:
        asked["Access-Control-Request-Headers"] = ",".join(headers).lower()
    return caller("OPTIONS", path, headers=asked)


def allowed(answer: requests.Response) -> bool:
    return answer.headers.get("Access-Control-Allow-Origin") == PAGE


def listed(answer: requests.Response, header: str) -> set[str]:
    """The names in a header, in small letters."""
    return {name.strip().lower() for name in answer.headers.get(header, "").split(",")} - {""}


def test_a_page_may_call_every_method_of_every_path(page: Caller) -> None:
    for path, item in page.get("/v1/openapi.json").json()["paths"].items():
        for method in item.keys() - {"parameters"}:
            answer = preflight(page, path.replace("{", "").replace("}", ""), method.upper())
            assert allowed(answer), (method, path)
            assert answer.ok


def test_a_page_may_not_use_unknown_methods(page: Caller) -> None:
    assert not allowed(preflight(page, "/v1/stacks/a", "TRACE"))


@pytest.mark.parametrize("header", sorted(SENT))
def test_a_page_may_send_every_header_that_means_something(page: Caller, header: str) -> None:
    answer = preflight(page, "/v1/stacks/a/facts/b", "PUT", header)
    assert allowed(answer)
    assert header.lower() in listed(answer, "Access-Control-Allow-Headers")


@pytest.mark.parametrize("header", ["X-Project-Id", "X-Roles", "X-Service-Token"])
def test_a_page_may_not_send_headers_that_are_not_a_clients(page: Caller, header: str) -> None:
    assert not allowed(preflight(page, "/v1/stacks/a/facts/b", "PUT", header))


def test_a_page_may_read_every_factstore_header_of_an_answer(page: Caller, stack: str) -> None:
    simple = {"cache-control", "content-length", "content-type"}
    of_the_connection = {"date", "server", "connection", "vary", "keep-alive"}
    of_the_browser = {"x-content-type-options", "transfer-encoding", "x-accel-buffering"}
    fact = f"{stack}/facts/a"
    answers = [
        page.put(fact, 1),
        page.put(fact, 1),
        page.get(fact),
        page.get(f"{fact}?format=raw"),
        page.get(f"{stack}/facts/missing?wait=1"),
        page.put(fact, 2, headers={"If-None-Match": "*"}),
        page.get(f"{stack}/facts"),
        page.get(f"{stack}/context"),
        page.get(f"{stack}/events"),
        page.post(f"{stack}/batch", json={"operations": [{"put": {"path": "b", "value": 1}}]}),
    ]
    read = set()
    for answer in answers:
        assert allowed(answer), answer.url
        assert "origin" in listed(answer, "Vary")  # so that no cache mixes origins up
        ours = {name.lower() for name in answer.headers} - {
            name.lower() for name in answer.headers if name.lower().startswith("access-control")
        }
        ours -= simple | of_the_connection | of_the_browser
        assert ours <= listed(answer, "Access-Control-Expose-Headers"), answer.url
        read |= ours
    assert {"etag", "location", "retry-after", "factstore-cursor", "factstore-unchanged"} <= read


def test_a_page_may_read_the_body_of_a_refusal(page: Caller) -> None:
    answer = page.get("/v1/stacks/nowhere/facts/a")
    refused(answer, "404 not_found")
    assert allowed(answer)


def test_a_page_may_follow_a_stack(server: ApiServer, page: Caller, stack: str) -> None:
    put = page.put(f"{stack}/facts/a", 1)
    cursor = put.headers["Factstore-Cursor"]
    asked = {"Origin": PAGE, "Last-Event-ID": cursor}
    with Stream(server.url, f"{stack}/events", asked) as stream:
        assert stream.answer.headers["Access-Control-Allow-Origin"] == PAGE
        page.put(f"{stack}/facts/a", 2)
        assert stream.expect("change").data["changes"][0]["fact"]["value"] == 2


def test_pages_of_other_origins_get_no_cors_headers(server: ApiServer, stack: str) -> None:
    with Caller(server.url, {"Origin": "https://elsewhere.example.org"}) as page:
        answers = [preflight(page, f"{stack}/facts/a", "PUT"), page.get("/v1/")]
    for answer in answers:
        assert not any(name.lower().startswith("access-control") for name in answer.headers)
