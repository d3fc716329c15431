"""Jinja2 templates over a context.

They are sandboxed and strict.  Sandboxed, because a template is to print facts and not to run Python,
wherever it came from.  Strict, because a file with a hole in it, where a fact is not there yet, is
worse than the file from before: a name that is not defined is an error, unless the template says
``default`` or ``is defined``.

Templates are no HTML: nothing is escaped.  A fact may be posted by others, and may hold line breaks:
the filters ``address``, ``line``, ``shell`` and ``json`` print it so that it adds nothing, and the
tests ``address`` and ``hostname`` tell whether it is what a file of root's is to hold.
"""

from __future__ import annotations

import ipaddress
import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment


_HOSTNAME_LENGTH = 253
_LABEL = re.compile("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


class TemplateBroken(Exception):
    """A template that is not there, is none, or does not fit the context."""


def render(source: Path, document: Mapping[str, Any]) -> str:
    """The text that a template makes of a context's document.

    :raises TemplateBroken: it makes none.
    """
    jinja2 = _jinja2()
    try:
        template = environment(source.parent).get_template(source.name)
        return str(template.render(variables(document)))
    except jinja2.TemplateNotFound as error:
        raise TemplateBroken(
            f"there is no template {source.parent / (error.name or '')}"
        ) from error
    except jinja2.TemplateSyntaxError as error:
        where = error.filename or source
        raise TemplateBroken(f"{where}, line {error.lineno}: {error.message}") from error
    except Exception as error:  # whatever an expression in a template may raise
        where = f"{source}{_line(error, source.parent)}"
        raise TemplateBroken(f"{where}: {' '.join(str(error).split())}") from error


def check(source: Path) -> None:
    """See whether there is a template, and whether it is one.

    :raises TemplateBroken: not.
    """
    jinja2 = _jinja2()
    try:
        environment(source.parent).get_template(source.name)
    except jinja2.TemplateNotFound as error:
        raise TemplateBroken(
            f"there is no template {source.parent / (error.name or '')}"
        ) from error
    except jinja2.TemplateSyntaxError as error:
        where = error.filename or source
        raise TemplateBroken(f"{where}, line {error.lineno}: {error.message}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise TemplateBroken(f"{source} cannot be read: {error}") from error


def variables(document: Mapping[str, Any]) -> dict[str, Any]:
    """What templates see: the document's members, ``self`` as ``me``, and the whole as ``context``."""
    seen = {name: value for name, value in document.items() if name != "self"}
    return {**seen, "me": document.get("self"), "context": document}


def environment(directory: Path) -> Environment:
    """The environment of the templates of a directory."""
    jinja2 = _jinja2()
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    made: Environment = ImmutableSandboxedEnvironment(
        loader=jinja2.FileSystemLoader(directory),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # no HTML
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(address=address, json=as_json, line=line, shell=shell)
    made.tests.update(address=is_address, hostname=is_hostname)
    return made


def line(value: Any) -> str:
    """The filter ``line``: a value that adds no line, or an error."""
    text = as_text(value)
    if not text.isprintable():
        raise ValueError("the value for the filter line holds a line break or a control character")
    return text


def address(value: Any) -> str:
    """The filter ``address``: an IP address, or an error."""
    if not is_address(value):
        raise ValueError("the value for the filter address is none")
    return str(value)


def shell(value: Any) -> str:
    """The filter ``shell``: a value as one word of a POSIX shell."""
    return shlex.quote(as_text(value))


def as_json(value: Any) -> str:
    """The filter ``json``: a value as JSON on one line."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def is_address(value: Any) -> bool:
    """The test ``address``: the text of an IP address, without a zone, which may be any text."""
    if not isinstance(value, str) or "%" in value:
        return False
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def is_hostname(value: Any) -> bool:
    """The test ``hostname``: one of lower-case letters, digits and hyphens, as in RFC 1123."""
    return (
        isinstance(value, str)
        and len(value) <= _HOSTNAME_LENGTH
        and all(_LABEL.fullmatch(label) for label in value.split("."))
    )


def as_text(value: Any) -> str:
    """A string as it is, anything else as JSON."""
    return value if isinstance(value, str) else as_json(value)


def _line(error: Exception, directory: Path) -> str:
    """The last line of a template that an error passed through."""
    found, trace = "", error.__traceback__
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename).parent == directory:
            found = f", line {trace.tb_lineno}"
        trace = trace.tb_next
    return found


def _jinja2() -> Any:
    try:
        import jinja2  # only who has templates needs it
    except ImportError as error:
        raise TemplateBroken("templates need Jinja2: install factstore[agent]") from error
    return jinja2
