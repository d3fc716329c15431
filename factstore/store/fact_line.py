"""The line of JSON before the value of a stored fact."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Any

from factstore.core.model.path import quoted

FORMAT = 1
SEALED = 2
"""The format of a sensitive fact, whose value is sealed.  Earlier versions do not decode it."""

RECENT = 1000  # values that are remembered, because equal ones need memory only once
RECENT_CHARACTERS = 1024  # of a line that is remembered

Fields = tuple[Any, str, str, str, str, int | None, str | None, tuple[str, ...] | None, int]
"""Those of a fact in the order of its class, then its readers, or None if it is not sensitive, and the
cause."""

_recent: dict[Any, Any] = {}
_known: dict[str, Fields] = {}
_FACT_FORMATS = (FORMAT, SEALED)
_TEXT = r'"([ !#-\[\]-~]*)"'  # without escapes
_PLAIN_LINE = re.compile(
    rf'\{{"format": {FORMAT}, "kind": {_TEXT}, "created_at": {_TEXT}, "updated_at": {_TEXT}, '
    rf'"updated_by": {_TEXT}, "request_id": {_TEXT}\}}'
)
"""A line with only the fields that all facts have."""


known_fields = _known.get
"""Returns the fields in a recent line, or None: facts that were written at once have equal lines."""


def parsed_fields(line: str) -> Fields:
    """Return the fields in the line of a fact.

    :raises ValueError, KeyError, TypeError: it is not the line of a fact.
    """
    plain = _PLAIN_LINE.fullmatch(line)  # a third of the time that JSON takes
    if plain is not None:
        kind, created_at, updated_at, by, request_id = plain.groups()
        if updated_at == created_at:
            updated_at = created_at
        return _kept(
            line,
            (shared(kind), created_at, updated_at, shared(by), request_id, None, None, None, 0),
        )
    fields = load_fields(line, _FACT_FORMATS)
    if not isinstance(fields.get("member"), str | None):
        raise ValueError("its member is not a name")
    names = "kind", "created_at", "updated_at", "updated_by", "request_id"
    kind, created_at, updated_at, by, request_id = (shared(fields[name]) for name in names)
    member, ttl, cause = fields.get("member"), fields.get("ttl"), fields.get("cause", 0)
    readers = _readers(fields["readers"]) if fields["format"] == SEALED else None
    if type(cause) is not int or cause < 0:
        raise ValueError("its cause is not a revision")
    return _kept(
        line,
        (kind, created_at, updated_at, by, request_id, ttl, shared(member), readers, cause),
    )


def shared(value: Any) -> Any:
    """Return an equal object that others use, too."""
    if len(_recent) > RECENT:
        _recent.clear()
    return _recent.setdefault(value, value)


def _kept(line: str, fields: Fields) -> Fields:
    if len(_known) > RECENT:
        _known.clear()
    if len(line) <= RECENT_CHARACTERS:
        _known[line] = fields
    return fields


def _readers(readers: object) -> tuple[str, ...]:
    if not (isinstance(readers, list) and all(isinstance(reader, str) for reader in readers)):
        raise ValueError("its readers are not names")
    return tuple(readers)


def load_fields(text: str, formats: Collection[int] = (FORMAT,)) -> dict[str, Any]:
    """Return the fields of a stored value, whose format has to be one of some."""
    fields: dict[str, Any] = json.loads(text)
    if fields["format"] not in formats:
        raise ValueError(f"its format is {quoted(str(fields['format']))}")
    return fields
