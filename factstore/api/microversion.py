"""``OpenStack-API-Version: contextualization 1.N``: the versions of the API and their header."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import microversion_parse as parse
from flask import Response

from factstore import SERVICE_TYPE
from factstore.api import errors
from factstore.core.errors import Invalid

HEADER = "OpenStack-API-Version"
EXTENSION = "factstore.service_types"
MINIMUM = (1, 0)
MAXIMUM = (1, 0)


def version_text(version: tuple[int, int]) -> str:
    """Return a version as text, such as ``1.0``."""
    return f"{version[0]}.{version[1]}"


RESPONSE_HEADERS = {HEADER: f"{SERVICE_TYPE} {version_text(MAXIMUM)}", "Vary": HEADER}
"""Headers of every answer, including those from in front of the application."""


def supported() -> Iterator[tuple[int, int]]:
    """Yield all versions, oldest first."""
    return ((MAXIMUM[0], minor) for minor in range(MINIMUM[1], MAXIMUM[1] + 1))


def check(header: str, service_types: Iterable[str]) -> Response | None:
    """Return an error response if the header asks for a version that does not exist.

    :param service_types: the API's own name, and the service's type in the catalog.
    :raises Invalid: ``header_invalid``.
    """
    try:
        _check_form(header)
        versions = (parse.get_version({HEADER.lower(): header}, each) for each in service_types)
        requested = next(filter(None, versions), None)
        if requested is None or requested == "latest":
            return None
        version = parse.parse_version_string(requested)
    except (TypeError, ValueError):
        raise Invalid(
            f"{HEADER} must be '{SERVICE_TYPE} {version_text(MAXIMUM)}' or '{SERVICE_TYPE} latest'.",
            code="header_invalid",
        ) from None
    if MINIMUM <= (version.major, version.minor) <= MAXIMUM:
        return None
    return errors.respond(
        "microversion_unsupported",
        f"Version {version_text((version.major, version.minor))} is not supported. Use a version from "
        f"{version_text(MINIMUM)} to {version_text(MAXIMUM)}.",
        extra={"min_version": version_text(MINIMUM), "max_version": version_text(MAXIMUM)},
    )


def _check_form(header: str) -> None:
    """Raise ValueError if an item lacks a service type or a version.

    The parser would ignore such an item as one for another service.
    """
    if any(len(item.split()) != 2 for item in header.split(",")):
        raise ValueError


def set_headers(response: Response) -> Response:
    """Set the header of a response to the version that it has."""
    response.headers[HEADER] = RESPONSE_HEADERS[HEADER]
    response.vary.add(HEADER)
    return response
