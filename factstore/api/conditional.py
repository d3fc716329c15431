"""Conditional headers, generations and idempotency keys, as the domain's types.

A view lists the headers that it heeds with :meth:`Blueprint.request_headers`.  A guard that it does not
heed is refused, because a client that sends one must not believe that it was met.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection

from flask import request

from factstore.api.identity import Identity
from factstore.core.errors import Invalid
from factstore.core.model.batch_plan import BatchPlan
from factstore.core.model.cursor import parse_tags
from factstore.core.model.member import GENERATION_PATTERN
from factstore.core.model.precondition import ABSENT, ANY, EXISTS, Precondition
from factstore.core.operations.idempotency import Idempotency

GENERATION = "Factstore-Generation"
IF_PLAN = "If-Plan"
GUARDS = (
    *("If-Match", "If-None-Match", "If-Unmodified-Since", "Idempotency-Key", GENERATION, IF_PLAN),
    "Content-Range",
)
"""The headers under which a client relies on a request being carried out once, in part, or not."""

_KEY_LENGTH = 255
_GENERATION = re.compile(GENERATION_PATTERN)


_VARIABLES = {f"HTTP_{name.upper().replace('-', '_')}": name for name in GUARDS}


def check_guards(heeded: Collection[str]) -> None:
    """Refuse a request with a guard that its view does not heed.

    :param heeded: the names of the headers that the view heeds.
    :raises Invalid: ``header_invalid``.
    """
    for variable, name in _VARIABLES.items():
        if variable in request.environ and name not in heeded:
            known = [each for each in GUARDS if each in heeded]
            instead = f"Of such headers, it supports {', '.join(known)}. " if known else ""
            raise Invalid(
                f"This request does not support {name}. {instead}Nothing was done; leave {name} out.",
                code="header_invalid",
            )


def check_no_body() -> None:
    """Refuse a DELETE with a body, which could be a generation that its client relies on.

    :raises Invalid: ``header_invalid``.
    """
    if request.method == "DELETE" and (request.content_length or _is_chunked()):
        raise Invalid(
            "A DELETE has no body. Nothing was done; send a generation in the header "
            f"{GENERATION}.",
            code="header_invalid",
        )


def _is_chunked() -> bool:
    return "HTTP_TRANSFER_ENCODING" in request.environ


def write_precondition() -> Precondition:
    """Return the precondition of a write from ``If-Match`` or ``If-None-Match``.

    :raises Invalid: both are given, one is malformed, or ``If-None-Match`` is not ``*``.
    """
    match, none_match = request.headers.get("If-Match"), request.headers.get("If-None-Match")
    if match is not None and none_match is not None:
        raise Invalid(
            "A write cannot have both If-Match and If-None-Match. Send one of them.",
            code="header_invalid",
        )
    if none_match is not None:
        if parse_tags(none_match) is not None:
            raise Invalid(
                "If-None-Match of a write must be '*', which creates a resource only if it does not "
                "exist.",
                code="header_invalid",
            )
        return ABSENT
    if match is not None:
        tags = parse_tags(match)
        return EXISTS if tags is None else Precondition(tags=tags)
    return ANY


def record_precondition() -> Precondition:
    """Return the precondition of a write to a record whose representation has parts of other origin.

    The tag of such a representation is that of the record, followed by ``-`` and a tag of the parts.

    :raises Invalid: see :func:`write_precondition`.
    """
    found = write_precondition()
    if found.tags is None:
        return found
    return Precondition(tags=frozenset(tag.partition("-")[0] for tag in found.tags))


def known_tags() -> frozenset[str] | None:
    """Return the tags in ``If-None-Match``, none if it is missing, or None for ``*``, which is any tag.

    A weak tag counts as a strong one, because caches make tags weak when they compress; RFC 9110,
    13.1.2 compares weakly, too.
    """
    header = request.headers.get("If-None-Match")
    if header is None:
        return frozenset()
    return parse_tags(header.replace('W/"', '"'))


def generation(from_body: str | None = None) -> str | None:
    """Return the generation of the member that sent the request, or None without one.

    :param from_body: the generation in the body, which takes precedence over the header.
    :raises Invalid: the header is malformed.
    """
    header = request.headers.get(GENERATION)
    if header is not None and not _GENERATION.fullmatch(header):
        raise Invalid(
            f"{GENERATION} is malformed. Send the generation that the join returned.",
            code="header_invalid",
        )
    return header if from_body is None else from_body


def fences() -> tuple[str, ...]:
    """Return the generations that must be current for a write, which is that of the header, if any."""
    known = generation()
    return () if known is None else (known,)


def plan() -> BatchPlan | None:
    """Return the plan that the batch must follow, or None without one.

    :raises Invalid: ``plan_invalid``.
    """
    header = request.headers.get(IF_PLAN)
    return None if header is None else BatchPlan.parse(header)


def idempotency(identity: Identity) -> Idempotency | None:
    """Return the idempotency key, bound to project, user and route, or None without one.

    :raises Invalid: the key is empty, too long, or not visible ASCII.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not 0 < len(key) <= _KEY_LENGTH or not (key.isascii() and key.isprintable()):
        raise Invalid(
            f"Idempotency-Key must be 1 to {_KEY_LENGTH} visible ASCII characters.",
            code="header_invalid",
        )
    scope = (identity.project_id, identity.user_id, request.method, request.path, key)
    content = (
        request.content_type or "",
        request.headers.get("If-Match", ""),
        request.headers.get("If-None-Match", ""),
        request.headers.get(GENERATION, ""),
        *([request.headers[IF_PLAN]] if IF_PLAN in request.headers else []),
    )
    digest = hashlib.sha256("\0".join(content).encode())
    digest.update(b"\0" + request.get_data())
    return Idempotency(hashlib.sha256("\0".join(scope).encode()).hexdigest(), digest.hexdigest())
