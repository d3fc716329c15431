"""The cursor on which a client acts, from a header."""

from __future__ import annotations

from flask import request

from factstore.core.errors import Invalid
from factstore.core.model.cursor import Cursor

CAUSE = "Factstore-Cause"


def stated_cause() -> Cursor | None:
    """Return the cursor on which the client acts; None if it states none.

    :raises Invalid: ``header_invalid``.
    """
    header = request.environ.get("HTTP_FACTSTORE_CAUSE")
    return None if header is None else parse_cause(header)


def parse_cause(header: str) -> Cursor:
    """Return the cursor that a header states.

    :raises Invalid: ``header_invalid``.
    """
    try:
        return Cursor.parse(header)
    except Invalid:
        raise Invalid(
            f"{CAUSE} is malformed. Send a cursor that the service returned, such as $FACTSTORE_CURSOR "
            "in a hook, unchanged, or leave the header out.",
            code="header_invalid",
        ) from None
