"""JSON texts that contain other JSON texts.

A fact's value is stored as canonical text.  Responses include such texts as they are, which is faster
than parsing them and encoding them again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from factstore.core.model.value import encode


def json_object(fields: Mapping[str, object], raw: Mapping[str, str]) -> str:
    """Return a JSON object.

    :param fields: values to encode, by name.
    :param raw: further members, whose values are JSON texts already.
    """
    members = ",".join(f'"{name}":{text}' for name, text in raw.items())
    if not fields:
        return f"{{{members}}}"
    return f"{encode(fields)[:-1]},{members}}}"


def json_array(texts: Iterable[str]) -> str:
    """Return a JSON array of JSON texts."""
    return f"[{','.join(texts)}]"
