"""URLs that clients would clean up: nothing is normalised, nothing redirected."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from tests.calling import Caller, check_refusal, refused
from tests.service import ApiServer
from tests.wire import Answer, exchange, request_bytes


def put(url: str, target: str) -> Answer:
    body = b'{"value": "intruder"}'
    return exchange(url, request_bytes("PUT", target, "Content-Type: application/json", body=body))


def check(answer: Answer, expected: str) -> None:
    check_refusal(answer.status, answer.headers, answer.json(), expected)


SEGMENTS = {
    "dot dot": "..",
    "dot": ".",
    "encoded dot dot": "%2e%2e",
    "half encoded dot dot": ".%2E",
    "hidden": ".hidden",
    "a dash first": "-rf",
    "an encoded slash": "x%2Fy",
    "an encoded slash in small letters": "x%2fy",
    "a double encoded slash": "x%252Fy",
    "an encoded backslash": "x%5Cy",
    "a backslash": "x\\y",
    "NUL": "x%00y",
    "a newline": "x%0Ay",
    "a carriage return": "x%0Dy",
    "DEL": "x%7Fy",
    "no UTF-8": "%ff",
    "other no UTF-8": "%fe",
    "an overlong slash": "%c0%af",
    "UTF-8": "%C3%B6",
    "a full-width slash": "x%EF%BC%8Fy",
    "a decomposed letter": "o%CC%88",
    "a homoglyph": "%D0%B0",
    "a space before": "%20x",
    "a space behind": "x%20",
    "a tab": "x%09",
    "a plus": "x+y",
    "a semicolon": "x;y",
    "an encoded semicolon": "x%3By",
    "a percent sign": "x%25",
    "half an encoding": "x%2",
    "no encoding": "x%zz",
    "a lone percent": "x%",
    "an encoded question mark": "x%3Fwait=1",
    "an encoded hash": "x%23",
    "quotes": "%22x%22",
    "a star": "*",
    "a tilde": "~root",
    "a comma": "x,y",
    "an equals sign": "x=y",
    "braces": "{x}",
    "129 characters": "x" * 129,
}


@pytest.mark.parametrize("segment", SEGMENTS.values(), ids=SEGMENTS.keys())
def test_a_name_that_breaks_the_grammar_is_refused_wherever_it_stands(
    server: ApiServer, api: Caller, stack: str, segment: str
) -> None:
    api.put(f"{stack}/facts/a", "mine")
    for path in (segment, f"a/{segment}", f"{segment}/a", f"n/{segment}/a"):
        check(put(server.url, f"{stack}/facts/{path}"), "400 path_invalid")
        check(
            exchange(server.url, request_bytes("GET", f"{stack}/facts/{path}")), "400 path_invalid"
        )
    check(put(server.url, f"/v1/stacks/{segment}/facts/a"), "400 path_invalid")
    assert [fact["value"] for fact in api.get(f"{stack}/facts").json()["facts"]] == ["mine"]


@pytest.mark.parametrize("path", ["/a", "a//b", "a/", "//a", "a/b/", "/", "//"])
def test_slashes_are_neither_merged_nor_dropped(
    server: ApiServer, api: Caller, stack: str, path: str
) -> None:
    api.put(f"{stack}/facts/a/b", "mine")
    check(put(server.url, f"{stack}/facts/{path}"), "400 path_invalid")
    for target in (f"{stack}//facts/a/b", f"/{stack}/facts/a/b", f"/v1//{stack[4:]}/facts/a/b"):
        answer = exchange(server.url, request_bytes("GET", target))
        assert answer.status in (HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST), target
        check(
            answer, "404 not_found" if answer.status == HTTPStatus.NOT_FOUND else "400 path_invalid"
        )


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


def test_a_path_has_limits(api: Caller, stack: str) -> None:
    assert api.put(f"{stack}/facts/{'/'.join(['x'] * 16)}", 1).status_code == HTTPStatus.CREATED
    refused(api.put(f"{stack}/facts/{'/'.join(['x'] * 17)}", 1), "400 path_invalid")
    long = "/".join(["y" * 127] * 4)  # 511 characters
    assert api.put(f"{stack}/facts/{long}z", 1).status_code == HTTPStatus.CREATED
    refused(api.put(f"{stack}/facts/{long}zz", 1), "400 path_invalid")


def test_a_prefix_cannot_reach_beside_its_folder(api: Caller, stack: str) -> None:
    for path in ("n1/ip", "n10/ip", "n1.x/ip", "n1-x/ip"):
        api.put(f"{stack}/facts/{path}", 1)
    listed = api.get(f"{stack}/facts", params={"prefix": "n1"}).json()["facts"]
    assert [fact["path"] for fact in listed] == ["n1/ip"]
    for prefix in ("..", "n1/..", "n1//ip", "/", "n1/%", "n*", "n1/ip\0"):
        refused(api.get(f"{stack}/facts", params={"prefix": prefix}), "400 path_invalid")
        refused(api.get(f"{stack}/events", params={"prefix": prefix}), "400 path_invalid")


def test_an_absolute_url_names_the_same_fact(server: ApiServer, api: Caller, stack: str) -> None:
    api.put(f"{stack}/facts/a", 7)
    answer = exchange(server.url, request_bytes("GET", f"{server.url}{stack}/facts/a"))
    assert answer.status in (HTTPStatus.OK, HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND)
    hidden = exchange(server.url, request_bytes("GET", f"{server.url}{stack}/facts/x%2Fa"))
    assert hidden.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND)
