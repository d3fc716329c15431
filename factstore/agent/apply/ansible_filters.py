"""The filters and tests of Ansible that most templates use, without those that touch the machine."""

from __future__ import annotations

import base64
import hashlib
import json
import operator
import posixpath
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jinja2 import Environment, TemplateRuntimeError, pass_environment

from factstore.agent.apply.template_data import Hole, Null, is_none, required
from factstore.agent.apply.template_text import text, to_json
from factstore.client.render.document import is_address
from factstore.client.render.yaml import fragment

_PARTS = re.compile("[0-9]+|[A-Za-z]+")


def _bool(value: Any) -> bool:
    return text(value).lower() in ("1", "on", "true", "yes")


def _mandatory(value: Any, msg: str | None = None) -> Any:
    if msg is not None and isinstance(value, Hole):
        raise TemplateRuntimeError(msg)
    return required(value)


def _ternary(value: Any, true_value: Any, false_value: Any, none_value: Any = None) -> Any:
    if none_value is not None and is_none(value):
        return none_value
    return true_value if value else false_value


def _combine(*mappings: Any, recursive: bool = False) -> dict[str, Any]:
    combined: dict[str, Any] = {}
    for mapping in mappings:
        for key, value in dict(required(mapping)).items():
            known = combined.get(key)
            if recursive and isinstance(known, dict) and isinstance(value, dict):
                combined[key] = _combine(known, value, recursive=True)
            else:
                combined[key] = value
    return combined


def _dict2items(
    value: Mapping[str, Any], key_name: str = "key", value_name: str = "value"
) -> list[Any]:
    return [{key_name: key, value_name: each} for key, each in required(value).items()]


def _items2dict(value: Any, key_name: str = "key", value_name: str = "value") -> dict[str, Any]:
    return {each[key_name]: each[value_name] for each in value}


def _unique(values: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for each in values:
        if each not in found:
            found.append(each)
    return found


def _flatten(value: Iterable[Any], levels: int | None = None) -> list[Any]:
    found: list[Any] = []
    for each in value:
        if isinstance(each, (list, tuple)) and levels != 0:
            found += _flatten(each, None if levels is None else levels - 1)
        else:
            found.append(each)
    return found


@pass_environment
def _extract(environment: Environment, key: Any, container: Any, morekeys: Any = None) -> Any:
    found = environment.getitem(container, key)
    for each in [] if morekeys is None else morekeys if isinstance(morekeys, list) else [morekeys]:
        found = environment.getitem(found, each)
    return found


def _flags(ignorecase: bool, multiline: bool) -> int:
    return (re.IGNORECASE if ignorecase else 0) | (re.MULTILINE if multiline else 0)


def _regex_replace(
    value: Any,
    pattern: str,
    replacement: str,
    ignorecase: bool = False,
    multiline: bool = False,
    count: int = 0,
) -> str:
    flags = _flags(ignorecase, multiline)
    return re.sub(pattern, replacement, text(value), count=count, flags=flags)


def _regex_search(
    value: Any, pattern: str, *groups: str, ignorecase: bool = False, multiline: bool = False
) -> Any:
    found = re.search(pattern, text(value), _flags(ignorecase, multiline))
    if found is None:
        return Null(f"{pattern} does not match")
    if groups:  # such as "\\1" or "\\g<name>"
        return [found.expand(group) for group in groups]
    return found.group()


def _regex_findall(
    value: Any, pattern: str, ignorecase: bool = False, multiline: bool = False
) -> list[Any]:
    return re.findall(pattern, text(value), _flags(ignorecase, multiline))


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    **dict.fromkeys(("==", "=", "eq"), operator.eq),
    **dict.fromkeys(("!=", "<>", "ne"), operator.ne),
    **dict.fromkeys(("<", "lt"), operator.lt),
    **dict.fromkeys(("<=", "le"), operator.le),
    **dict.fromkeys((">", "gt"), operator.gt),
    **dict.fromkeys((">=", "ge"), operator.ge),
}


def _version(value: Any, other: Any, comparison: str = "eq", *_: Any, **_options: Any) -> bool:
    """Compare versions by their numbers; letters come before numbers, as in 1.0rc1."""
    mine, its = (
        [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in _PARTS.findall(each)]
        for each in (text(value), text(other))
    )
    length = max(len(mine), len(its))
    for parts in (mine, its):
        parts += [(1, 0, "")] * (length - len(parts))
    return _COMPARISONS[comparison](mine, its)


def _hash(value: Any, name: str = "sha1") -> str:
    return hashlib.new(name, text(value).encode(), usedforsecurity=False).hexdigest()


def _ipwrap(value: Any) -> str:
    return f"[{value}]" if ":" in text(value) and is_address(value) else text(value)


def _to_yaml(value: Any, **_options: Any) -> str:
    return fragment(json.loads(to_json(value)))


def to_nice_json(value: Any, indent: int = 4, **_options: Any) -> str:
    """Return a value as JSON with a line for each item."""
    return to_json(value, indent=indent)


FILTERS: dict[str, Callable[..., Any]] = {
    "b64decode": lambda value: base64.b64decode(text(value)).decode(),
    "b64encode": lambda value: base64.b64encode(text(value).encode()).decode(),
    "basename": lambda value: posixpath.basename(text(value)),
    "bool": _bool,
    "combine": _combine,
    "dict2items": _dict2items,
    "difference": lambda value, other: [
        each for each in _unique(value) if each not in list(required(other))
    ],
    "dirname": lambda value: posixpath.dirname(text(value)),
    "extract": _extract,
    "flatten": _flatten,
    "from_json": lambda value: json.loads(text(value)),
    "hash": _hash,
    "intersect": lambda value, other: [
        each for each in _unique(value) if each in list(required(other))
    ],
    "ipwrap": _ipwrap,
    "items2dict": _items2dict,
    "mandatory": _mandatory,
    "quote": lambda value: shlex.quote(text(value)),
    "regex_escape": lambda value: re.escape(text(value)),
    "regex_findall": _regex_findall,
    "regex_replace": _regex_replace,
    "regex_search": _regex_search,
    "split": lambda value, separator=None: text(value).split(separator),
    "ternary": _ternary,
    "splitext": lambda value: list(posixpath.splitext(text(value))),
    "symmetric_difference": lambda value, other: [
        each for each in _unique([*value, *other]) if (each in value) != (each in other)
    ],
    "to_json": lambda value, **_options: to_json(value),
    "to_nice_json": to_nice_json,
    "to_nice_yaml": _to_yaml,
    "to_yaml": _to_yaml,
    "union": lambda value, other: _unique([*value, *other]),
    "zip": lambda value, *others: [list(each) for each in zip(value, *others)],
}

TESTS: dict[str, Callable[..., bool]] = {
    "all": all,
    "any": any,
    "regex": lambda value, pattern: re.search(pattern, text(value)) is not None,
    "version": _version,
    "contains": lambda value, item: item in required(value),
    "match": lambda value, pattern: re.match(pattern, text(value)) is not None,
    "search": lambda value, pattern: re.search(pattern, text(value)) is not None,
    "subset": lambda value, other: all(each in other for each in value),
    "superset": lambda value, other: all(each in value for each in other),
}
