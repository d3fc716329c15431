"""Large responses are made piece by piece, while they are sent."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from flask import Flask, Response
from hypothesis import given
from hypothesis import strategies as st

from factstore.api.events import frame_pieces
from factstore.api.responses import (
    PIECE_CHARACTERS,
    conditional_response,
    encoded_pieces,
    etag_of,
    texts_response,
)
from factstore.api.serializers.events import event_texts
from factstore.core.model.cursor import Cursor
from factstore.core.model.event import Change, Event
from factstore.core.services.watch import ChangeFrame
from tests.unit.core.factories import SCOPE, fact

MIB = 1024 * 1024
EPOCH = "0" * 16


@pytest.fixture
def app() -> Flask:
    return Flask("test")


@given(
    st.lists(st.tuples(st.sampled_from("aä€😀"), st.sampled_from([1, 40_000, 70_000])), max_size=4)
)
def test_pieces_are_the_whole_text_and_none_is_large(parts: list[tuple[str, int]]) -> None:
    texts = [character * length for character, length in parts]
    pieces = list(encoded_pieces(texts))
    assert b"".join(pieces) == "".join(texts).encode()
    assert all(0 < len(piece) < MIB for piece in pieces)
    assert etag_of(texts) == etag_of(["".join(texts)])


def read(app: Flask, response: Response, method: str = "GET") -> tuple[list[bytes], str | None]:
    """Return the pieces that a server sends, and the length that it announces."""
    with app.test_request_context("/", method=method) as context:
        headers: dict[str, str] = {}
        body = response(context.request.environ, lambda status, sent: headers.update(sent))
        return [bytes(piece) for piece in body], headers.get("Content-Length")


@pytest.mark.parametrize("length", [1, PIECE_CHARACTERS, 50 * PIECE_CHARACTERS])
def test_a_response_has_its_length_its_tag_and_on_head_no_body(app: Flask, length: int) -> None:
    def texts() -> Iterator[str]:
        for _ in range(length // 10):
            yield "ä" + "x" * 9
        yield "end"

    expected = "".join(texts()).encode() + b"\n"
    for method, sent in (("GET", expected), ("HEAD", b"")):
        pieces, announced = read(app, conditional_response(texts, "tag", ()), method)
        assert b"".join(pieces) == sent
        assert announced == str(len(expected))
        assert all(len(piece) <= 4 * PIECE_CHARACTERS for piece in pieces)
    assert read(app, conditional_response(texts, "tag", {"tag"})) == ([], None)


def test_a_large_response_is_made_while_it_is_sent(app: Flask) -> None:
    made = 0

    def texts() -> Iterator[str]:
        nonlocal made
        for _ in range(100):
            made += 1
            yield "x" * 10_000

    response = texts_response(texts)
    made = 0
    body = iter(response.response)
    next(body)
    assert made < 10


def event(count: int, size: int) -> Event:
    changes = (
        Change("fact.put", f"f/{n}", fact(f"f/{n}", "x" * size), None, "user", "req")
        for n in range(count)
    )
    return Event(SCOPE, "id", 7, tuple(changes))


@pytest.mark.parametrize(
    ("count", "size", "lines"), [(3, 10, 1), (100, 60_000, 99), (1, 65_000, 1)]
)
def test_a_large_event_has_several_lines_which_are_json_together(
    count: int, size: int, lines: int
) -> None:
    large = event(count, size)
    pieces = list(frame_pieces(ChangeFrame(large, Cursor(EPOCH, 7)), EPOCH))
    assert all(len(piece) < MIB for piece in pieces)
    *fields, last, after = b"".join(pieces).decode().split("\n")
    assert (last, after) == ("", "")
    assert fields[:2] == [f"id: {EPOCH}.7", "event: change"]
    data = [line.removeprefix("data: ") for line in fields[2:]]
    assert lines // 2 <= len(data) <= lines
    assert max(map(len, data)) < MIB // 4
    document = json.loads("\n".join(data))
    assert document == json.loads("".join(event_texts(large, EPOCH)))
    assert [change["path"] for change in document["changes"]] == [f"f/{n}" for n in range(count)]
