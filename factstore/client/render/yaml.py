"""Renders contexts as YAML that every parser reads as the original JSON.

Every string is quoted, so that none is read as a number, a date, a tag or an anchor.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from factstore.client.render.document import Document, Omit, ignore

_LONGEST_KEY = 1000  # characters; YAML limits implicit keys to 1024


@dataclass(frozen=True)
class Tagged:
    """A value with a tag before it, such as ``!unsafe``."""

    tag: str
    value: Any


def yaml(document: Document, omit: Omit = ignore) -> str:
    """Return the document as YAML with sorted keys."""
    return as_yaml(document)


def as_yaml(value: Mapping[str, Any]) -> str:
    """Return YAML in block style; any value may be :class:`Tagged`."""
    return f"---{_below(value, '')}"


def fragment(value: Any) -> str:
    """Return YAML for any value, without the line that begins a document."""
    return _below(value, "").lstrip()


def _below(value: Any, indent: str) -> str:
    """Return the text after a key, a dash or the beginning, including the end of the line."""
    if isinstance(value, Tagged):
        return f" {value.tag}{_below(value.value, indent)}"
    if isinstance(value, Mapping) and value:
        return "\n" + "".join(
            f"{_key(name, indent)}{_below(value[name], indent + '  ')}" for name in sorted(value)
        )
    if isinstance(value, list) and value:
        return "\n" + "".join(f"{indent}-{_below(each, indent + '  ')}" for each in value)
    return f" {_scalar(value)}\n"


def _key(name: str, indent: str) -> str:
    text = _scalar(name)
    return f"{indent}{text}:" if len(text) < _LONGEST_KEY else f"{indent}? {text}\n{indent}:"


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        quoted = json.dumps(value, ensure_ascii=False)
        return "".join(each if each.isprintable() else _escaped(each) for each in quoted)
    text = json.dumps(value)
    # 1e+16 is a number in JSON, but a string in YAML 1.1.
    return text.replace("e", ".0e") if isinstance(value, float) and "." not in text else text


def _escaped(character: str) -> str:
    return f"\\U{ord(character):08x}"
