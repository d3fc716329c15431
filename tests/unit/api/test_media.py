"""Negotiation of media types, and charsets of bodies."""

from __future__ import annotations

import pytest
from flask import Request
from werkzeug.exceptions import UnsupportedMediaType
from werkzeug.test import EnvironBuilder

from factstore.api.media import JSON, PROBLEM, check_charset, error_type, preferred

STREAM = "text/event-stream"


def request(**headers: str) -> Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(EnvironBuilder(headers=named).get_environ())


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", JSON),
        (" ", JSON),
        ("*/*", JSON),
        ("*/*;q=0.1", JSON),
        (JSON, JSON),
        ("Application/JSON", JSON),
        (f"{JSON}; charset=utf-8", JSON),
        (f"{JSON};charset=UTF-8, text/plain;q=0.5", JSON),
        (f'{JSON};version="1, 2";q=0.3', JSON),
        ("application/*", JSON),
        (STREAM, STREAM),
        (f"{STREAM}; charset=utf-8", STREAM),
        ("text/*", STREAM),
        (f"{STREAM}, */*", STREAM),
        (f"*/*, {STREAM}", STREAM),
        (f"{STREAM}, */*;q=0.5", STREAM),
        (f"{STREAM};q=0.5, */*", JSON),
        (f"{JSON}, {STREAM}", JSON),
        (f"{STREAM}, {JSON}", JSON),
        (f"{JSON};q=0.5, {STREAM}", STREAM),
        (f"{JSON};q=0, */*", STREAM),
        (f"{STREAM};q=0, */*", JSON),
        (f"{JSON};q=0", None),
        ("*/*;q=0", None),
        (f"{JSON};q=0, {STREAM};q=0, */*", None),
        ("application/xml", None),
        ("image/*", None),
        ("nonsense", None),
        (PROBLEM, JSON),
        (f"{PROBLEM};q=0", JSON),
        (f"{STREAM}, {PROBLEM}", STREAM),
        (f"{PROBLEM}, application/xml", None),
        (f"{PROBLEM}, {JSON};q=0", None),
    ],
)
def test_the_type_that_a_client_names_is_served(accept: str, chosen: str | None) -> None:
    assert preferred(request(Accept=accept), (JSON, STREAM)) == chosen


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", JSON),
        (JSON, JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (STREAM, JSON),
        ("text/html, */*;q=0.8", JSON),
        (PROBLEM, PROBLEM),
        ("Application/Problem+JSON; charset=utf-8", PROBLEM),
        (f"{JSON}, {PROBLEM}", PROBLEM),
        (f"{PROBLEM};q=0.3, */*", PROBLEM),
        (f"{STREAM}, {PROBLEM};q=0.1", PROBLEM),
        (f"{JSON}, {PROBLEM};q=0.9", JSON),
        (f"{JSON};q=0.5, {PROBLEM};q=0.9", PROBLEM),
        (f"{PROBLEM};q=0, */*", JSON),
        (f"{PROBLEM};q=0", JSON),
        ("application/problem+xml", JSON),
    ],
)
def test_errors_are_problems_only_for_a_client_that_names_them(accept: str, chosen: str) -> None:
    assert error_type(accept) == chosen


@pytest.mark.parametrize("accept", ["text/plain", "text/plain; charset=utf-8", "text/*", "*/*"])
def test_a_type_is_accepted_by_its_own_content_type(accept: str) -> None:
    assert preferred(request(Accept=accept), ("text/plain",)) == "text/plain"


@pytest.mark.parametrize("kind", [JSON, "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_is_utf8_whatever_its_type(kind: str) -> None:
    text = "Köln".encode()
    for charset in ("utf-8", '"UTF-8"', "utf8", "Utf_8"):
        check_charset(request(Content_Type=f"{kind}; charset={charset}"), text)
    check_charset(request(Content_Type=kind), text)
    check_charset(request(Content_Type=f"{kind}; charset=us-ascii"), b"Koeln")
    for charset in ("us-ascii", "iso-8859-1", "utf-16-le", "utf-7", "utf-8-sig", "none", '""'):
        with pytest.raises(UnsupportedMediaType):
            check_charset(request(Content_Type=f"{kind}; charset={charset}"), text)
