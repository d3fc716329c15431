"""``OpenStack-API-Version: contextualization 1.N``: the one place that knows the versions."""

from __future__ import annotations

from collections.abc import Iterator

import microversion_parse as parse
from flask import Flask, Response, request

from factstore.api import errors
from factstore.core.errors import Invalid

SERVICE_TYPE = "contextualization"
HEADER = "OpenStack-API-Version"
MINIMUM = (1, 0)
MAXIMUM = (1, 0)


def shown(version: tuple[int, int]) -> str:
    """``1.0``."""
    return f"{version[0]}.{version[1]}"


RESPONSE_HEADERS = {HEADER: f"{SERVICE_TYPE} {shown(MAXIMUM)}", "Vary": HEADER}
"""Headers of every answer, including those from in front of the application."""


def supported() -> Iterator[tuple[int, int]]:
    """All versions, oldest first."""
    return ((MAXIMUM[0], minor) for minor in range(MINIMUM[1], MAXIMUM[1] + 1))


def register(app: Flask) -> None:
    """Check the header of every request and name the version in every answer."""
    app.before_request(_check)
    app.after_request(_mark)


def _check() -> Response | None:
    header = request.headers.get(HEADER)
    if header is None or request.routing_exception is not None:
        return None  # what is not there is not there in any version
    try:
        _check_form(header)
        wanted = parse.get_version({HEADER.lower(): header}, SERVICE_TYPE)
        if wanted is None or wanted == "latest":
            return None
        version = parse.parse_version_string(wanted)
    except (TypeError, ValueError):
        raise Invalid(
            f"{HEADER} must read '{SERVICE_TYPE} {shown(MAXIMUM)}' or '{SERVICE_TYPE} latest'.",
            code="header_invalid",
        ) from None
    if MINIMUM <= (version.major, version.minor) <= MAXIMUM:
        return None
    return errors.respond(
        "microversion_unsupported",
        f"version {shown((version.major, version.minor))} is not supported; "
        f"{shown(MINIMUM)} to {shown(MAXIMUM)} are.",
        extra={"min_version": shown(MINIMUM), "max_version": shown(MAXIMUM)},
    )


def _check_form(header: str) -> None:
    """Refuse what names no service or no version, which would be taken for another service's."""
    if any(len(wish.split()) != 2 for wish in header.split(",")):
        raise ValueError


def _mark(response: Response) -> Response:
    response.headers[HEADER] = RESPONSE_HEADERS[HEADER]
    response.vary.add(HEADER)
    return response
