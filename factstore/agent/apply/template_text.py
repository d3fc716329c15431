"""The text of values in templates: strings are printed unchanged, and all other values as JSON.

``true`` is not printed as ``True``, nor a list as Python would write it.  Values that have no text,
such as holes, functions and iterators, are errors.
"""

from __future__ import annotations

import json
import re
from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from string import Formatter
from typing import Any

from jinja2 import TemplateRuntimeError, Undefined
from jinja2.sandbox import SandboxedFormatter

from factstore.agent.apply.recorded_dict import RecordedDict
from factstore.agent.apply.template_data import Null

_CONVERSION = re.compile(r"(%(?:\([^)]*\))?[-#0 +]*[0-9*]*(?:\.[0-9*]+)?)([A-Za-z%])")
_VIEWS = (KeysView, ValuesView, ItemsView, range)


def text(value: Any) -> str:
    """Return the text of a value.

    :raises TemplateRuntimeError: the value has none.
    """
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Undefined):
        return str(value)  # raises the error that names the hole
    if value is None:
        raise TemplateRuntimeError("the value is null, and was to be printed")
    if isinstance(value, (bool, int, float, dict, list, tuple, *_VIEWS)):
        return to_json(value)
    if isinstance(value, Iterator):
        raise TemplateRuntimeError("an iterator cannot be printed: add the filter list or join")
    if callable(value):
        raise TemplateRuntimeError("a function or method cannot be printed: call it with ()")
    raise TemplateRuntimeError(f"an object of the type {type(value).__name__} cannot be printed")


def to_json(value: Any, **options: Any) -> str:
    """Return a value as JSON, on one line unless *options* of :func:`json.dumps` differ."""
    given = {"ensure_ascii": False, "sort_keys": True, **options}
    try:
        return json.dumps(_plain(value), allow_nan=False, default=_json, **given)
    except ValueError as error:
        raise TemplateRuntimeError(f"the value cannot be written as JSON: {error}") from error


def _plain(value: Any) -> Any:
    """Return data without dictionaries that record what is read of them: all is read."""
    if isinstance(value, RecordedDict):
        return value.whole()
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, *_VIEWS, Iterator)):
        return [_plain(each) for each in value]
    return value


def _json(value: Any) -> None:
    """Return None for a null.

    :raises TemplateRuntimeError: the value cannot be written as JSON.
    """
    if not isinstance(value, Null):
        text(value)


def format_argument(value: Any) -> Any:
    """Return a number unchanged, and any other value as text, to be formatted with ``%``."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    return text(value)


def percent(template: str, values: Any) -> str:
    """Return ``template % values``; ``%r`` is the same as ``%s``."""
    template = _CONVERSION.sub(
        lambda found: found[1] + ("s" if found[2] in "ra" else found[2]), template
    )
    if isinstance(values, tuple):
        return template % tuple(map(format_argument, values))
    if isinstance(values, dict):
        # Only the keys that the template names are read.
        return str(template % _FormatArguments(values))
    return str(template % format_argument(values))


class _FormatArguments(dict[str, Any]):
    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__()
        self._values = values

    def __missing__(self, key: str) -> Any:
        return format_argument(self._values[key])


class TextFormatter(SandboxedFormatter):
    """``str.format`` with the text of values."""

    def format_field(self, value: Any, format_spec: str) -> Any:
        return super().format_field(format_argument(value), format_spec)

    def convert_field(self, value: Any, conversion: Any) -> Any:
        return text(value) if conversion else Formatter.convert_field(self, value, conversion)
