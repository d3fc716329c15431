"""Whatever is sent, the answer is a refusal that says what was wrong; never a 500, never a guess."""

from __future__ import annotations

import json
from http import HTTPStatus

import pytest
import requests

from tests.calling import Caller, refused

DEEPEST = 32
BIGGEST = 64 * 1024
JSON = {"Content-Type": "application/json"}


def value(text: str) -> bytes:
    return f'{{"value": {text}}}'.encode()


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


BODIES = {
    "no JSON at all": (b"value", "400 json_invalid"),
    "nothing": (b"", "400 json_invalid"),
    "an unfinished object": (b'{"value": 1', "400 json_invalid"),
    "something behind the end": (b'{"value": 1} 2', "400 json_invalid"),
    "two documents": (b'{"value": 1}{"value": 2}', "400 json_invalid"),
    "single quotes": (b"{'value': 1}", "400 json_invalid"),
    "a trailing comma": (b'{"value": 1,}', "400 json_invalid"),
    "a comment": (b'{"value": 1} // one', "400 json_invalid"),
    "a raw newline in a string": (b'{"value": "a\nb"}', "400 json_invalid"),
    "an unknown escape": (value(r'"\x41"'), "400 json_invalid"),
    "a leading zero": (value("01"), "400 json_invalid"),
    "UTF-16": ('{"value": 1}'.encode("utf-16"), "400 json_invalid"),
    "a byte order mark": (b'\xef\xbb\xbf{"value": 1}', "400 json_invalid"),
    "bytes that are no UTF-8": (b'{"value": "\xff"}', "400 json_invalid"),
    "an overlong encoding": (b'{"value": "\xc0\xaf"}', "400 json_invalid"),
    "a surrogate as UTF-8": (b'{"value": "\xed\xa0\x80"}', "400 json_invalid"),
    "a value nested too deeply": (value(nested(DEEPEST + 1)), "400 json_too_deep"),
    "objects nested too deeply": (
        value('{"a":' * (DEEPEST + 1) + "1" + "}" * (DEEPEST + 1)),
        "400 json_too_deep",
    ),
    "a hundred thousand brackets": (b"[" * 100_000, "400 json_too_deep"),
    "NaN": (value("NaN"), "400 json_value"),
    "Infinity": (value("Infinity"), "400 json_value"),
    "minus Infinity": (value("-Infinity"), "400 json_value"),
    "a number too large for a double": (value("1e999"), "400 json_value"),
    "an integer above 2^63-1": (value(str(2**63)), "400 json_value"),
    "an integer below -2^63": (value(str(-(2**63) - 1)), "400 json_value"),
    "a hundred thousand digits": (value("1" * 60_000), "400 json_value"),
    "a lone surrogate": (value(r'"\ud800"'), "400 json_value"),
    "a lone surrogate in a key": (value(r'{"\udfff": 1}'), "400 json_value"),
    "NUL in a string": (value(r'"a\u0000b"'), "400 json_value"),
    "NUL in a key": (value(r'{"\u0000": 1}'), "400 json_value"),
    "a key twice": (b'{"value": 1, "value": 1}', "400 json_duplicate_key"),
    "a key twice inside the value": (value('{"a": 1, "a": 2}'), "400 json_duplicate_key"),
    "a key twice, spelt differently": (value(r'{"a": 1, "\u0061": 2}'), "400 json_duplicate_key"),
    "a list": (b"[]", "400 schema"),
    "a bare value": (b"1", "400 schema"),
    "null": (b"null", "400 schema"),
    "no value": (b"{}", "400 schema"),
    "an unknown field": (b'{"value": 1, "owner": "me"}', "400 schema"),
    "a field that is not there yet": (b'{"value": 1, "sensitive": true}', "400 schema"),
    "an unknown kind": (b'{"value": 1, "kind": "Observed"}', "400 schema"),
    "a kind that is no string": (b'{"value": 1, "kind": ["observed"]}', "400 schema"),
    "a kind that is an object": (b'{"value": 1, "kind": {}}', "400 schema"),
    "a null kind": (b'{"value": 1, "kind": null}', "400 schema"),
    "a ttl of 0": (b'{"value": 1, "ttl": 0}', "400 ttl_invalid"),
    "a negative ttl": (b'{"value": 1, "ttl": -5}', "400 ttl_invalid"),
    "a ttl below five seconds": (b'{"value": 1, "ttl": 4}', "400 ttl_invalid"),
    "a ttl above thirty days": (b'{"value": 1, "ttl": 2592001}', "400 ttl_invalid"),
    "a ttl with a fraction": (b'{"value": 1, "ttl": 10.5}', "400 schema"),
    "a ttl written as a float": (b'{"value": 1, "ttl": 10.0}', "400 schema"),
    "a ttl that is true": (b'{"value": 1, "ttl": true}', "400 schema"),
    "a ttl that is a string": (b'{"value": 1, "ttl": "10"}', "400 schema"),
    "a value above 64 KiB": (value('"' + "x" * (BIGGEST - 1) + '"'), "413 value_too_large"),
    "a value above 64 KiB in UTF-8": (
        value('"' + "ö" * (BIGGEST // 2) + '"'),
        "413 value_too_large",
    ),
    "a body above 1 MiB": (value(" " * 1024 * 1024 + "1"), "413 too_large"),
}


@pytest.mark.parametrize(("body", "answer"), BODIES.values(), ids=BODIES.keys())
def test_a_body_that_is_wrong_is_refused_and_changes_nothing(
    api: Caller, stack: str, body: bytes, answer: str
) -> None:
    refused(api.put(f"{stack}/facts/a", data=body, headers=JSON), answer)
    refused(api.get(stack), "404 not_found")  # not even the stack was made


ACCEPTED = {
    "the deepest": nested(DEEPEST),
    "the largest integer": str(2**63 - 1),
    "the smallest integer": str(-(2**63)),
    "the largest double": "1.7976931348623157e308",
    "a pair of surrogates": r'"\ud83d\ude00"',
    "the longest string": '"' + "x" * (BIGGEST - 2) + '"',
    "the longest string in UTF-8": '"' + "ö" * (BIGGEST // 2 - 1) + '"',
    "control characters": r'"\u0001\u001f\u007f"',
    "line separators": r'"\u2028\u2029"',
    "many small brackets": json.dumps([[]] * 5000),
    "brackets in a string": json.dumps("[" * 1000),
    "backslashes": json.dumps("\\" * 1001),
    "an empty key": '{"": 1}',
    "a key that Python knows": '{"__class__": "x", "__proto__": 1}',
}


@pytest.mark.parametrize("text", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_what_lies_just_within_the_limits_comes_back_as_it_was(
    api: Caller, stack: str, text: str
) -> None:
    answer = api.put(f"{stack}/facts/a", data=value(text), headers=JSON)
    assert answer.status_code == HTTPStatus.CREATED, answer.text[:300]
    assert api.get(f"{stack}/facts/a").json()["value"] == json.loads(text)


def test_a_text_that_is_no_utf_8_is_refused(api: Caller, stack: str) -> None:
    plain = {"Content-Type": "text/plain"}
    refused(api.put(f"{stack}/facts/a", data=b"\xff", headers=plain), "400 text_invalid")
    refused(api.put(f"{stack}/facts/a", data=b"a\0b", headers=plain), "400 json_value")
    long = b"x" * (BIGGEST - 1)
    refused(api.put(f"{stack}/facts/a", data=long, headers=plain), "413 value_too_large")


@pytest.mark.parametrize(
    "wait",
    ["51", "-1", "1.5", "ten", "", "1e1", "0x10", "\u0663", "9" * 5000, "+1 ", "1_0", "true"],
)
def test_a_wait_is_a_whole_number_up_to_fifty(api: Caller, stack: str, wait: str) -> None:
    for path in ("facts/a", "context", "events"):
        answer = api.get(f"{stack}/{path}", params={"wait": wait})
        assert refused(answer, "400 query_invalid")["field"] == "wait"


CURSORS = [
    "-1",
    "7",
    "0123456789abcdef",
    "0123456789abcdef.",
    "0123456789abcdef.-1",
    "0123456789abcdef.01",
    "0123456789ABCDEF.1",
    "0123456789abcdef.1 ",
    " 0123456789abcdef.1",
    "0123456789abcdef.1\n",
    f"0123456789abcdef.{2**63}",
    "0123456789abcdef." + "9" * 5000,
    "0123456789abcdef.\u0661",
    "0123456789abcdef.0x1",
]


@pytest.mark.parametrize("cursor", CURSORS)
def test_a_malformed_cursor_is_refused_wherever_it_stands(
    api: Caller, stack: str, cursor: str
) -> None:
    api.put(f"{stack}/facts/a", 1)
    for path, name in (
        ("/v1/stacks", "cursor"),
        (f"{stack}/facts", "cursor"),
        (f"{stack}/events", "since"),
    ):
        refused(api.get(path, params={name: cursor}), "400 cursor_invalid")


def foreign_cursors(api: Caller, stack: str) -> dict[str, str]:
    present = api.get(f"{stack}/facts").json()["cursor"]
    epoch, _, revision = present.partition(".")
    assert epoch != "0" * 16
    return {
        "of another life of the store": f"{'0' * 16}.{revision}",
        "ahead of the store": f"{epoch}.{int(revision) + 10**6}",
        "at the largest revision": f"{epoch}.{2**63 - 1}",
    }


def test_a_cursor_that_never_was_in_this_store_is_gone(api: Caller, stack: str) -> None:
    api.put(f"{stack}/facts/a", 1)
    for cursor in foreign_cursors(api, stack).values():
        for path, name in (
            ("/v1/stacks", "cursor"),
            (f"{stack}/facts", "cursor"),
            (f"{stack}/events", "since"),
        ):
            refused(api.get(path, params={name: cursor}), "410 cursor_expired")


def test_pages_from_before_a_stack_was_made_are_gone(api: Caller, stack: str) -> None:
    api.put(f"{stack}/facts/a", 1)
    before = api.get(f"{stack}/facts").json()["cursor"]
    api.delete(stack)
    api.put(f"{stack}/facts/b", 1)
    refused(api.get(f"{stack}/facts", params={"cursor": before}), "410 cursor_expired")


HEADERS = {
    "an empty key": ({"Idempotency-Key": ""}, "400 header_invalid"),
    "a long key": ({"Idempotency-Key": "x" * 256}, "400 header_invalid"),
    "a key of other letters": ({"Idempotency-Key": "ö".encode()}, "400 header_invalid"),
    "a tag without quotes": ({"If-Match": "abc"}, "400 etag_invalid"),
    "half a tag": ({"If-Match": '"abc'}, "400 etag_invalid"),
    "an empty tag list": ({"If-Match": ""}, "400 etag_invalid"),
    "a comma at the end": ({"If-Match": '"a",'}, "400 etag_invalid"),
    "a star among tags": ({"If-Match": '*, "a"'}, "400 etag_invalid"),
    "a weak tag": ({"If-Match": 'W/"a"'}, "400 etag_invalid"),
    "a tag of other letters": ({"If-Match": '"ö"'.encode()}, "400 etag_invalid"),
    "a tag with a space": ({"If-Match": '"a b"'}, "400 etag_invalid"),
    "a million commas": ({"If-Match": "," * 8000}, "400 etag_invalid"),
    "create unless it is so": ({"If-None-Match": '"a"'}, "400 header_invalid"),
    "nonsense to create": ({"If-None-Match": "a"}, "400 etag_invalid"),
}


@pytest.mark.parametrize(("headers", "answer"), HEADERS.values(), ids=HEADERS.keys())
def test_a_header_that_is_wrong_is_refused(
    api: Caller, stack: str, headers: dict[str, str | bytes], answer: str
) -> None:
    refused(api.put(f"{stack}/facts/a", 1, headers=headers), answer)
    refused(api.get(stack), "404 not_found")


def test_a_reader_may_send_only_tags_to_compare(api: Caller, stack: str) -> None:
    api.put(f"{stack}/facts/a", 1)
    for path in ("facts/a", "context"):
        answer = api.get(f"{stack}/{path}", headers={"If-None-Match": "a"})
        refused(answer, "400 etag_invalid")


@pytest.mark.parametrize("project", ["..", "a/b", "x" * 65, "a%2Fb", "ö", "a b", "a\n", "\n", ""])
def test_a_project_id_is_a_plain_name(api: Caller, project: str) -> None:
    refused(api.get("/v1/stacks", params={"project_id": project}), "400 query_invalid")


def test_a_batch_has_limits(api: Caller, stack: str) -> None:
    def batch(operations: int, guards: int = 0, size: int = 1) -> requests.Response:
        body = {
            "guards": [{"path": f"g{n}", "absent": True} for n in range(guards)],
            "operations": [
                {"put": {"path": f"p{n}", "value": "x" * size}} for n in range(operations)
            ],
        }
        return api.post(f"{stack}/batch", json=body)

    refused(batch(101), "413 batch_too_large")
    refused(batch(60, guards=41), "413 batch_too_large")
    refused(batch(2, size=BIGGEST), "413 value_too_large")
    refused(batch(17, size=BIGGEST - 100), "413 too_large")
    refused(api.get(stack), "404 not_found")
    assert batch(60, guards=40).status_code == HTTPStatus.OK
    assert batch(100).status_code == HTTPStatus.OK
    assert batch(15, size=BIGGEST - 100).status_code == HTTPStatus.OK


def test_a_page_has_a_limit(api: Caller, stack: str) -> None:
    api.put(f"{stack}/facts/a", 1)
    for path in ("/v1/stacks", f"{stack}/facts"):
        for limit in ("0", "1001", "-1", "many", "", "1.0"):
            answer = api.get(path, params={"limit": limit})
            assert refused(answer, "400 query_invalid")["field"] == "limit"
        assert api.get(path, params={"limit": "1000"}).status_code == HTTPStatus.OK


@pytest.mark.parametrize("marker", ["..", "a//b", "/a", "a/", "ö", "a b", "x" * 513])
def test_a_marker_is_a_name(api: Caller, stack: str, marker: str) -> None:
    api.put(f"{stack}/facts/a", 1)
    for path in ("/v1/stacks", f"{stack}/facts"):
        refused(api.get(path, params={"marker": marker}), "400 path_invalid")
