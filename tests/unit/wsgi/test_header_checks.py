"""Headers that come twice, and the options of a connection."""

from __future__ import annotations

import pytest
from gunicorn.http import errors as malformed

from factstore.api.openapi_headers import REQUEST_HEADERS
from factstore.wsgi.fast_path.request_headers import read_headers
from factstore.wsgi.server.header_checks import (
    OWN_PREFIX,
    SINGLE,
    RepeatedHeader,
    asks_to_close,
    check_codings,
    check_single,
)

LISTS = {"If-Match", "If-None-Match", "OpenStack-API-Version"}
"""The API's headers that contain lists (RFC 9110, section 5.3)."""


def test_each_header_of_the_api_has_one_value_or_a_list() -> None:
    names = {str(each["name"]) for each in REQUEST_HEADERS.values()}
    own = {each for each in names if each.upper().startswith(OWN_PREFIX)}
    assert own
    assert names - own - set(SINGLE.values()) == LISTS


@pytest.mark.parametrize("name", [*SINGLE.values(), "Factstore-Generation", "Factstore-Anything"])
@pytest.mark.parametrize("values", [("1", "1"), ("1", "2"), ("", "1"), ("1", "")])
def test_a_header_with_one_value_is_refused_if_it_comes_twice(
    name: str, values: tuple[str, str]
) -> None:
    headers = [("ACCEPT", "*/*"), *((name.upper(), value) for value in values)]
    check_single(headers[:2])
    with pytest.raises(RepeatedHeader) as refused:
        check_single(headers)
    assert str(refused.value) == name
    block = "".join(f"{name}: {value}\r\n" for value in values)
    assert read_headers(f"Host: localhost\r\n{block}".encode()) is None


@pytest.mark.parametrize("name", [*LISTS, "Accept", "Connection", "X-Forwarded-For"])
def test_a_list_may_be_split(name: str) -> None:
    check_single([(name.upper(), "a"), (name.upper(), "b")])


@pytest.mark.parametrize("values", [(), ("gzip",), ("gzip, chunked",), ("chunked", "chunked")])
def test_a_body_has_no_other_coding_than_chunked(values: tuple[str, ...]) -> None:
    with pytest.raises(malformed.UnsupportedTransferCoding):
        check_codings([("TRANSFER-ENCODING", value) for value in values])
    check_codings([("TRANSFER-ENCODING", " Chunked ")])


def test_close_is_one_of_the_options_of_a_connection() -> None:
    assert asks_to_close([("CONNECTION", "TE"), ("CONNECTION", "keep-alive,\tClose")])
    assert not asks_to_close([("CONNECTION", "keep-alive"), ("TE", "close")])
