"""Reads of representations that can wait until the representation differs from a known one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar

from flask import Response

from factstore.api.conditional import known_tags
from factstore.api.responses import conditional_response, etag_of
from factstore.api.services import waiting
from factstore.core.model.fact import Scope

Found = TypeVar("Found")


def blocking_read(
    scope: Scope,
    query: Mapping[str, Any],
    read: Callable[..., Found],
    texts: Callable[[Found], Iterable[str]],
    *,
    until_decided: bool = False,
) -> Response:
    """Return what a service reads, or 304 if the caller knows its entity tag.

    :param read: called with ``wait``, ``unless`` and ``stale``; ``unless`` is true of a known one.
    :param texts: returns the parts of the JSON text.
    :param until_decided: a caller that knows nothing waits until the service's own condition is met
        instead of reading at once; ``unless`` is None then.
    """
    known = known_tags()

    def is_known(found: Found) -> bool:
        return known is None or etag_of(texts(found)) in known

    with waiting(scope.project_id, query["wait"]):
        found = read(
            wait=query["wait"],
            unless=None if until_decided and known == frozenset() else is_known,
            stale=query["consistency"] == "stale",
        )
    parts = partial(texts, found)
    return conditional_response(parts, etag_of(parts()), known)
