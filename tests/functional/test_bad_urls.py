"""URLs that clients would clean up: nothing is normalised, nothing redirected."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from tests.http import Caller
from tests.raw_http import exchange, request_bytes
from tests.service import ApiServer


@pytest.mark.parametrize(
    "target",
    [
        "/v1/stacks/../stacks",
        "/v1/./stacks",
        "/v1/stacks/",
        "/V1/stacks",
        "/v1/stacks/s/facts/../context",
        "/v1/stacks/s/context/",
        "/v1/stacks/s/context/x",
        "/v1/stacks/s/batch/",
        "/v1/stacks/s/%66acts/../../s/context",
        "/healthcheck/",
        "/healthcheck/../v1/stacks",
        "*",
    ],
)
def test_a_url_that_is_not_exactly_right_is_no_other_url(server: ApiServer, target: str) -> None:
    answer = exchange(server.url, request_bytes("GET", target))
    assert answer.status in (HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST)
    assert "Location" not in answer.headers


def test_a_path_may_be_encoded_where_that_hides_nothing(
    server: ApiServer, api: Caller, stack: str
) -> None:
    api.put(f"{stack}/facts/node-1/a:b@c", 7)
    for path in ("node%2D1/a%3Ab%40c", "%6e%6F%64%65-1/a:b@c"):
        answer = exchange(server.url, request_bytes("GET", f"{stack}/facts/{path}"))
        assert answer.status == HTTPStatus.OK
        assert answer.json()["path"] == "node-1/a:b@c"


def test_the_longest_and_the_deepest_path_are_accepted(api: Caller, stack: str) -> None:
    assert api.put(f"{stack}/facts/{'/'.join(['x'] * 16)}", 1).status_code == HTTPStatus.CREATED
    long = "/".join(["y" * 127] * 4)  # 511 characters
    assert api.put(f"{stack}/facts/{long}z", 1).status_code == HTTPStatus.CREATED


def test_a_prefix_cannot_reach_beside_its_folder(api: Caller, stack: str) -> None:
    for path in ("n1/ip", "n10/ip", "n1.x/ip", "n1-x/ip"):
        api.put(f"{stack}/facts/{path}", 1)
    listed = api.get(f"{stack}/facts", params={"prefix": "n1"}).json()["facts"]
    assert [fact["path"] for fact in listed] == ["n1/ip"]


def test_an_absolute_url_names_the_same_fact(server: ApiServer, api: Caller, stack: str) -> None:
    api.put(f"{stack}/facts/a", 7)
    answer = exchange(server.url, request_bytes("GET", f"{server.url}{stack}/facts/a"))
    assert answer.status in (HTTPStatus.OK, HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND)
    hidden = exchange(server.url, request_bytes("GET", f"{server.url}{stack}/facts/x%2Fa"))
    assert hidden.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND)
