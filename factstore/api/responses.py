"""Responses that several views give: JSON texts, pages of lists, conditional reads."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from typing import TypeVar

from flask import Response, request

from factstore.api import errors, paging
from factstore.api.raw_json import json_array, json_object
from factstore.core.errors import NotFound
from factstore.core.model.value import encode
from factstore.core.services.base import Page

T = TypeVar("T")


def json_response(text: str, status: int = 200) -> Response:
    """Return a response with a JSON text, on a line of its own for readers at a terminal."""
    return Response(f"{text}\n", status, content_type="application/json")


def page_response(noun: str, page: Page[T], serialize: Callable[[T], str]) -> Response:
    """Return a page of a list.

    :param serialize: returns an item as JSON.
    """
    items = json_array(map(serialize, page.items))
    links = encode(paging.links(page.cursor, page.marker))
    return json_response(json_object({"cursor": str(page.cursor)}, {noun: items, "links": links}))


def set_location(response: Response, *names: str) -> None:
    """Make a response 201 with the location of a new resource, such as ``"stacks", "s1"``."""
    response.status_code = 201
    response.headers["Location"] = f"{request.root_url}v1/{'/'.join(names)}"


def set_etag(response: Response, etag: str) -> Response:
    """Set the entity tag of a response, which caches then have to validate."""
    response.headers["ETag"] = f'"{etag}"'
    response.headers.setdefault("Cache-Control", "no-cache")
    return response


def etag_of(text: str) -> str:
    """Return the entity tag of a text.

    Some representations change without their record, so the record's revision cannot be the tag.
    """
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def conditional_response(text: str, etag: str, known: Collection[str] | None) -> Response:
    """Return a JSON text, or 304 if its entity tag is known.

    :param known: the known tags; None for any.
    """
    unchanged = known is None or etag in known
    return set_etag(Response(status=304) if unchanged else json_response(text), etag)


def missing(error: NotFound, wait: float) -> Response:
    """Return 404; if the request has waited, with ``Retry-After``, because repeating it makes sense."""
    headers = {"Retry-After": "1"} if wait else {}
    return errors.respond(error.code, error.detail, headers=headers)
