"""Responses that several views give: JSON texts, pages of lists, conditional reads."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain
from typing import TypeVar
from urllib.parse import quote

from flask import Response, request

from factstore.api import errors, paging
from factstore.api.raw_json import array_texts, object_texts
from factstore.api.services import services
from factstore.core.errors import NotFound
from factstore.core.model.cursor import Cursor
from factstore.core.model.value import encode, utf8_size
from factstore.core.services.base import Page
from factstore.core.services.time_slice import TimeSlice

T = TypeVar("T")

PIECE_CHARACTERS = 64 * 1024
"""The length of the texts that are encoded at once; a server sends one before it asks for the next."""


def json_response(text: str, status: int = 200) -> Response:
    """Return a response with a JSON text, on a line of its own for readers at a terminal."""
    if len(text) > PIECE_CHARACTERS:
        return _response_in_pieces(lambda: (text,), status)
    return Response(f"{text}\n", status, content_type="application/json")


def texts_response(texts: Callable[[], Iterable[str]], status: int = 200) -> Response:
    """Return a response with a JSON text that can be large.

    :param texts: returns the parts of the text.  If they are more than a piece, it is called again when
        the response is sent, outside of the request's context, and must return the same.
    """
    small, length = [], 0
    for text in texts():
        small.append(text)
        length += len(text)
        if length > PIECE_CHARACTERS:
            return _response_in_pieces(texts, status)
    return json_response("".join(small), status)


def _response_in_pieces(texts: Callable[[], Iterable[str]], status: int) -> Response:
    """Return a response whose body is encoded while it is sent, so that slow readers cost little."""
    pauses = TimeSlice(services().clock)
    size = sum(map(utf8_size, pauses.each(texts()))) + len("\n")
    response = Response(
        encoded_pieces(pauses.each(chain(texts(), "\n"))),
        status,
        content_type="application/json",
        direct_passthrough=True,
    )
    response.content_length = size
    return response


def encoded_pieces(texts: Iterable[str]) -> Iterator[bytes]:
    """Yield texts in UTF-8, in pieces of about :data:`PIECE_CHARACTERS`."""
    small, length = [], 0
    for text in texts:
        if len(text) < PIECE_CHARACTERS:
            small.append(text)
            length += len(text)
        if small and (length >= PIECE_CHARACTERS or len(text) >= PIECE_CHARACTERS):
            yield "".join(small).encode()
            small, length = [], 0
        if len(text) >= PIECE_CHARACTERS:
            for at in range(0, len(text), PIECE_CHARACTERS):
                yield text[at : at + PIECE_CHARACTERS].encode()
    if small:
        yield "".join(small).encode()


def page_response(noun: str, page: Page[T], serialize: Callable[[T], str]) -> Response:
    """Return a page of a list.

    :param serialize: returns an item as JSON.
    """
    cursor, links = str(page.cursor), encode(paging.links(page.cursor, page.marker))

    def texts() -> Iterator[str]:
        items = array_texts((serialize(item),) for item in page.items)
        return object_texts({"cursor": cursor}, {noun: items, "links": (links,)})

    return texts_response(texts)


def root_url() -> str:
    """Return the service's URL as the client sees it, with a slash at its end, in ASCII."""
    # root_url of Flask decodes international domain names, whose letters a header cannot contain.
    return f"{request.scheme}://{request.host}{quote(request.script_root)}/"


def set_location(response: Response, *names: str) -> None:
    """Make a response 201 with the location of a new resource, such as ``"stacks", "s1"``."""
    response.status_code = 201
    response.headers["Location"] = f"{root_url()}v1/{'/'.join(names)}"


def set_written(
    response: Response, cursor: Cursor | None = None, *, unchanged: bool = False
) -> Response:
    """Name the cursor of a write, if it has one, and state if the write has changed nothing."""
    if unchanged:
        response.headers["Factstore-Unchanged"] = "true"
    if cursor is not None:
        response.headers["Factstore-Cursor"] = str(cursor)
    return response


def deleted(cursor: Cursor | None = None) -> Response:
    """Return the response to a deletion, with its cursor if it has one."""
    return set_written(Response(status=204), cursor)


def set_etag(response: Response, etag: str) -> Response:
    """Set the entity tag of a response, which caches then have to validate."""
    response.headers["ETag"] = f'"{etag}"'
    response.headers.setdefault("Cache-Control", "no-cache")
    return response


def etag_of(texts: Iterable[str]) -> str:
    """Return the entity tag of a text that consists of several.

    Some representations change without their record, so the record's revision cannot be the tag.
    """
    digest = hashlib.sha256()
    for piece in encoded_pieces(texts):
        digest.update(piece)
    return digest.hexdigest()[:32]


def conditional_response(
    texts: Callable[[], Iterable[str]], etag: str, known: Collection[str] | None
) -> Response:
    """Return a JSON text, or 304 if its entity tag is known.

    :param texts: see :func:`texts_response`.
    :param known: the known tags; None for any.
    """
    unchanged = known is None or etag in known
    return set_etag(Response(status=304) if unchanged else texts_response(texts), etag)


def missing(error: NotFound, wait: float) -> Response:
    """Return 404; if the request has waited, with ``Retry-After``, because repeating it makes sense."""
    headers = {"Retry-After": "1"} if wait else {}
    return errors.respond(error.code, error.detail, headers=headers)
