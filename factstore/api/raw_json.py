"""JSON texts that contain other JSON texts.

A fact's value is stored as canonical text.  Responses include such texts as they are, which is faster
than parsing them and encoding them again.

A JSON text that can be large is an iterable of texts, made while it is iterated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

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


def object_texts(fields: Mapping[str, object], raw: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """Yield a JSON object.

    :param fields: values to encode, by name.
    :param raw: further members, whose values are JSON texts already.
    """
    before = f"{encode(fields)[:-1]}," if fields else "{"
    for name, texts in raw.items():
        yield f'{before}"{name}":'
        yield from texts
        before = ","
    yield "}"


def array_texts(items: Iterable[Iterable[str]]) -> Iterator[str]:
    """Yield a JSON array of JSON texts."""
    before = "["
    for texts in items:
        yield before
        yield from texts
        before = ","
    yield "]" if before == "," else "[]"
