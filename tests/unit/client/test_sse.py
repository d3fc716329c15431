"""Frames are parsed from bytes that are split anywhere."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factstore.client.sse import Frame, Parser

STREAM = (
    b": hello\n\n"
    b'id: e.1\nevent: change\ndata: {"a": "\xc3\xa4\xe2\x82\xac"}\n\n'
    b"event: snapshot\r\ndata: one\r\ndata: two\r\n\r\n"
    b"retry: 1500\revent: goodbye\rdata:{}\r\r"
    b"data: \xe2\x80\xa8 is no end of a line\n\n"
)
FRAMES = [
    Frame("change", '{"a": "ä€"}', id="e.1"),
    Frame("snapshot", "one\ntwo"),
    Frame("goodbye", "{}", retry=1.5),
    Frame("message", "\u2028 is no end of a line"),
]


def frames_of(*pieces: bytes) -> list[Frame]:
    parser = Parser()
    return [frame for piece in pieces for frame in parser.feed(piece)]


def test_a_stream_in_one_piece_yields_its_frames() -> None:
    assert frames_of(STREAM) == FRAMES


def test_a_stream_in_single_bytes_yields_the_same_frames() -> None:
    assert frames_of(*(STREAM[at : at + 1] for at in range(len(STREAM)))) == FRAMES


@given(st.lists(st.integers(0, len(STREAM))))
def test_a_stream_split_anywhere_yields_the_same_frames(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    assert frames_of(*(STREAM[a:b] for a, b in pairwise(edges))) == FRAMES


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
@given(texts=st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]))))
def test_any_data_is_parsed_unchanged(end: bytes, texts: list[str]) -> None:
    lines = b"".join(b"data: " + text.encode() + end for text in texts) + end
    expected = [Frame("message", "\n".join(texts))] if texts else []
    assert frames_of(lines) == expected


@given(st.binary())
def test_junk_is_ignored(junk: bytes) -> None:
    frames_of(junk, b"\n\n")


@pytest.mark.parametrize(
    ("text", "frames"),
    [
        (b"data: never finished\n", []),
        (b"data\n\n", [Frame("message", "")]),
        (b"data:  two spaces\n\n", [Frame("message", " two spaces")]),
        (b"event: nothing to tell\n\n", []),
        (
            b"\xef\xbb\xbfdata: after a byte order mark\n\n",
            [Frame("message", "after a byte order mark")],
        ),
        (b"id: e\0.1\ndata: x\n\n", [Frame("message", "x")]),
        (b"retry: soon\ndata: x\n\n", [Frame("message", "x")]),
        (b"retry: 20\n\n", [Frame("", "", retry=0.02)]),
        (
            b"id: e.1\ndata: x\n\ndata: y\n\n",
            [Frame("message", "x", id="e.1"), Frame("message", "y")],
        ),
        (b"colour: blue\n:data: a comment\ndata: x\n\n", [Frame("message", "x")]),
        (b"\xff\xfedata: x\n\ndata: y\n\n", [Frame("message", "y")]),
    ],
)
def test_unusual_but_valid_input_is_parsed(text: bytes, frames: list[Frame]) -> None:
    assert frames_of(text) == frames
