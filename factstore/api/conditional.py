"""Conditional headers and idempotency keys, as the domain knows them."""

from __future__ import annotations

import hashlib
import re

from flask import request

from factstore.api.identity import Identity
from factstore.core.errors import Invalid
from factstore.core.model.cursor import parse_tags
from factstore.core.model.member import GENERATION_PATTERN
from factstore.core.model.precondition import ABSENT, ANY, EXISTS, Precondition
from factstore.core.operations.idempotency import Idempotency

GENERATION = "Factstore-Generation"

_KEY_LENGTH = 255
_GENERATION = re.compile(GENERATION_PATTERN)


def write_precondition() -> Precondition:
    """What ``If-Match`` or ``If-None-Match`` demands of a write.

    :raises Invalid: both stand, or one is malformed, or ``If-None-Match`` names a tag.
    """
    match, none_match = request.headers.get("If-Match"), request.headers.get("If-None-Match")
    if match is not None and none_match is not None:
        raise Invalid(
            "If-Match and If-None-Match exclude each other in a write.", code="header_invalid"
        )
    if none_match is not None:
        if parse_tags(none_match) is not None:
            raise Invalid(
                "If-None-Match of a write must be '*': create only if nothing is there.",
                code="header_invalid",
            )
        return ABSENT
    if match is not None:
        tags = parse_tags(match)
        return EXISTS if tags is None else Precondition(tags=tags)
    return ANY


def create_only() -> bool:
    """Whether ``If-None-Match: *`` stands, where a write knows of no other precondition.

    :raises Invalid: as :func:`write_precondition`, or ``If-Match`` stands.
    """
    precondition = write_precondition()
    if precondition not in (ABSENT, ANY):
        raise Invalid("If-Match has no meaning here; leave it out.", code="header_invalid")
    return precondition == ABSENT


def known_tags() -> frozenset[str] | None:
    """The tags that the reader knows already, from ``If-None-Match``; None if it names any (``*``).

    A weak tag is read as a strong one (RFC 9110, 13.1.2 compares weakly), since caches in between make
    tags weak when they compress.
    """
    header = request.headers.get("If-None-Match")
    if header is None:
        return frozenset()
    return parse_tags(header.replace('W/"', '"'))


def generation(said: str | None = None) -> str | None:
    """The incarnation of a member that a request is from; None if it does not say.

    :param said: what the body says; it wins over the header.
    :raises Invalid: the header is malformed.
    """
    header = request.headers.get(GENERATION)
    if header is not None and not _GENERATION.fullmatch(header):
        raise Invalid(
            f"{GENERATION} must be a generation as a join answered it.", code="header_invalid"
        )
    return header if said is None else said


def fences() -> tuple[str, ...]:
    """The generations that must live for a write to happen: what the header says, if it is there."""
    known = generation()
    return () if known is None else (known,)


def idempotency(identity: Identity) -> Idempotency | None:
    """The promise that an ``Idempotency-Key`` makes, bound to project, user and route.

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
    where = (identity.project_id, identity.user_id, request.method, request.path, key)
    what = (
        request.content_type or "",
        request.headers.get("If-Match", ""),
        request.headers.get("If-None-Match", ""),
        request.headers.get(GENERATION, ""),
    )
    digest = hashlib.sha256("\0".join(what).encode())
    digest.update(b"\0" + request.get_data())
    return Idempotency(hashlib.sha256("\0".join(where).encode()).hexdigest(), digest.hexdigest())
