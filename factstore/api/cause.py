"""The cursor on which a client acts, from a header."""

from __future__ import annotations

from flask import request

from factstore.core.errors import Invalid
from factstore.core.model.cursor import Cursor

CAUSE = "Factstore-Cause"
CAUSE_VARIABLE = "HTTP_FACTSTORE_CAUSE"


def stated_cause(epoch: str) -> int:
    """Return the revision on which the client acts; 0 if it states none.

    A cursor of an earlier life of the store is none of this one.

    :param epoch: of the store.
    :raises Invalid: ``header_invalid``.
    """
    header = request.environ.get(CAUSE_VARIABLE)
    return 0 if header is None else cause_in(header, epoch)


def cause_in(header: str, epoch: str) -> int:
    """Return the revision that a header states; 0 if it is from another life of the store.

    :raises Invalid: ``header_invalid``.
    """
    try:
        cursor = Cursor.parse(header)
    except Invalid:
        raise Invalid(
            f"{CAUSE} is malformed. Send a cursor that the service returned, such as $FACTSTORE_CURSOR "
            "in a hook, unchanged, or leave the header out.",
            code="header_invalid",
        ) from None
    return cursor.revision if cursor.epoch == epoch else 0
