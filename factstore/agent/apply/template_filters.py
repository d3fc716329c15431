"""The filters and tests of templates: those for facts, and Jinja2's own for values of any type."""

from __future__ import annotations

import functools
import re
import shlex
import textwrap
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jinja2 import Environment, Undefined, pass_environment, pass_eval_context
from jinja2.filters import FILTERS as DEFAULT_FILTERS
from jinja2.filters import do_urlencode, do_xmlattr, make_attrgetter
from jinja2.nodes import EvalContext

from factstore.agent.apply import ansible_filters
from factstore.agent.apply.template_data import is_none, required
from factstore.agent.apply.template_text import percent, text, to_json
from factstore.client.render.document import is_address

_HOSTNAME_LENGTH = 253
_LABEL = re.compile("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def line(value: Any) -> str:
    """Return a value as text on one line."""
    found = text(value)
    if not found.isprintable():
        raise ValueError(
            "the filter line was given a value with a line break or a control character"
        )
    return found


def address(value: Any) -> str:
    """Return an IP address."""
    required(value)
    if not is_address(value):
        raise ValueError("the filter address was given a value that is not an IP address")
    return str(value)


def shell(value: Any) -> str:
    """Return a value as one word of a POSIX shell."""
    return shlex.quote(text(value))


def is_hostname(value: Any) -> bool:
    """Return True for a host name of RFC 1123 in lower case."""
    return (
        isinstance(value, str)
        and len(value) <= _HOSTNAME_LENGTH
        and all(_LABEL.fullmatch(label) for label in value.split("."))
    )


# Jinja2's own, for values of any type


@pass_environment
def _join(
    environment: Environment, value: Iterable[Any], d: str = "", attribute: Any = None
) -> str:
    if attribute is not None:
        value = map(make_attrgetter(environment, attribute), value)
    return text(d).join(map(text, value))


def _indent(value: Any, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    prefix = width if isinstance(width, str) else " " * width
    # str.splitlines() would take other characters, such as U+2028, for the ends of lines.
    lines = text(value).split("\n")
    indented = [f"{prefix}{each}" if each or blank else each for each in lines]
    return "\n".join(indented if first else [lines[0], *indented[1:]])


def _wordwrap(
    value: Any,
    width: int = 79,
    break_long_words: bool = True,
    wrapstring: str = "\n",
    break_on_hyphens: bool = True,
) -> str:
    return wrapstring.join(
        wrapstring.join(
            textwrap.wrap(
                each,
                width=width,
                expand_tabs=False,
                replace_whitespace=False,
                break_long_words=break_long_words,
                break_on_hyphens=break_on_hyphens,
            )
        )
        for each in text(value).split("\n")
    )


def _default(value: Any, default_value: Any = "", boolean: bool = False) -> Any:
    if value is None or isinstance(value, Undefined) or (boolean and not value):
        return default_value
    return value


def _texts(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: None if is_none(value) else text(value) for key, value in values.items()}


@pass_eval_context
def _xmlattr(context: EvalContext, d: Mapping[str, Any], autospace: bool = True) -> str:
    return do_xmlattr(context, _texts(d), autospace)


def _urlencode(value: Any) -> str:
    if isinstance(value, dict):
        return do_urlencode({key: text(each) for key, each in value.items()})
    return do_urlencode(text(value) if not isinstance(value, (list, tuple)) else value)


def _of_text(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return one of Jinja2's filters that is given the text of a value."""
    first = 1 if hasattr(function, "jinja_pass_arg") else 0

    @functools.wraps(function)
    def of_text(*args: Any, **kwargs: Any) -> Any:
        return function(*args[:first], text(args[first]), *args[first + 1 :], **kwargs)

    return of_text


_OF_TEXT = (
    *("capitalize", "center", "e", "escape", "forceescape", "lower", "replace", "striptags"),
    *("title", "trim", "truncate", "upper", "urlize", "wordcount"),
)


FILTERS: dict[str, Callable[..., Any]] = {
    **{name: _of_text(DEFAULT_FILTERS[name]) for name in _OF_TEXT},
    "address": address,
    "d": _default,
    "default": _default,
    "format": lambda value, *args, **kwargs: percent(text(value), kwargs or args),
    "indent": _indent,
    "join": _join,
    "json": to_json,
    "line": line,
    "pprint": ansible_filters.to_nice_json,
    "shell": shell,
    "string": text,
    "urlencode": _urlencode,
    "wordwrap": _wordwrap,
    "xmlattr": _xmlattr,
    **ansible_filters.FILTERS,
}

TESTS: dict[str, Callable[..., bool]] = {
    "address": is_address,
    "hostname": is_hostname,
    "none": is_none,
    **ansible_filters.TESTS,
}
