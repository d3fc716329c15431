"""Jinja2 templates that render a context.

Templates are sandboxed: they print facts and run no Python code.  They are strict: an undefined name
is an error unless the template uses ``default`` or ``is defined``, because a file with a gap where a
fact is missing is worse than the previous file.

Nothing is escaped, since templates are not HTML.  Other members can publish a fact that contains line
breaks: the filters ``address``, ``line``, ``shell`` and ``json`` print a fact so that it adds no lines,
and the tests ``address`` and ``hostname`` check whether a value is fit for a file such as /etc/hosts.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factstore.agent.apply.recording import Recorder

if TYPE_CHECKING:
    from jinja2 import Environment


_HOSTNAME_LENGTH = 253
_LABEL = re.compile("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


class TemplateError(Exception):
    """A template is missing or invalid, or does not fit the context."""


def render(source: Path, document: Mapping[str, Any], recorder: Recorder | None = None) -> str:
    """Return the text that a template renders from a context's document.

    :param recorder: records what the template reads.
    :raises TemplateError: the template cannot be rendered.
    """
    with _template(source) as template:
        return str(template.render(variables(document, recorder)))


def check(source: Path) -> None:
    """Check that a template exists and that its syntax is correct.

    :raises TemplateError: the template is missing or invalid.
    """
    with _template(source):
        pass


@contextlib.contextmanager
def _template(source: Path) -> Iterator[Any]:
    """Yield a template, and raise TemplateError for all errors of loading and rendering it."""
    jinja2 = _jinja2()
    try:
        yield environment(source.parent).get_template(source.name)
    except jinja2.TemplateNotFound as error:
        missing = source.parent / (error.name or "")
        raise TemplateError(f"template {missing} does not exist") from error
    except jinja2.TemplateSyntaxError as error:
        file = error.filename or source
        raise TemplateError(f"{file}, line {error.lineno}: {error.message}") from error
    except Exception as error:  # an expression in a template can raise anything
        file = f"{source}{_line(error, source.parent)}"
        raise TemplateError(f"{file}: {' '.join(str(error).split())}") from error


def variables(document: Mapping[str, Any], recorder: Recorder | None = None) -> dict[str, Any]:
    """Return a template's variables: the document's, with ``self`` as ``me``, and ``context``.

    :param recorder: records what is read of them.
    """
    parts, context = dict(document), dict(document)
    if recorder is not None:
        parts = {name: recorder.wrap(name, value, document) for name, value in parts.items()}
        context = recorder.wrap("", context, document)
    own = parts.pop("self", None)
    return {**parts, "me": own, "context": context}


def environment(directory: Path) -> Environment:
    """Return the Jinja2 environment for the templates in a directory."""
    jinja2 = _jinja2()
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    jinja: Environment = ImmutableSandboxedEnvironment(
        loader=jinja2.FileSystemLoader(directory),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # templates are not HTML
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.filters.update(address=address, json=as_json, line=line, shell=shell)
    jinja.tests.update(address=is_address, hostname=is_hostname)
    return jinja


def line(value: Any) -> str:
    """Return a value as text on one line; the filter ``line``."""
    text = as_text(value)
    if not text.isprintable():
        raise ValueError(
            "the filter line was given a value with a line break or a control character"
        )
    return text


def address(value: Any) -> str:
    """Return an IP address; the filter ``address``."""
    if not is_address(value):
        raise ValueError("the filter address was given a value that is not an IP address")
    return str(value)


def shell(value: Any) -> str:
    """Return a value as one word of a POSIX shell; the filter ``shell``."""
    return shlex.quote(as_text(value))


def as_json(value: Any) -> str:
    """Return a value as JSON on one line; the filter ``json``."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def is_address(value: Any) -> bool:
    """Return True for the text of an IP address; the test ``address``."""
    if not isinstance(value, str) or "%" in value:  # a zone, which can be any text
        return False
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def is_hostname(value: Any) -> bool:
    """Return True for a host name of RFC 1123 in lower case; the test ``hostname``."""
    return (
        isinstance(value, str)
        and len(value) <= _HOSTNAME_LENGTH
        and all(_LABEL.fullmatch(label) for label in value.split("."))
    )


def as_text(value: Any) -> str:
    """Return a string unchanged, and any other value as JSON."""
    return value if isinstance(value, str) else as_json(value)


def _line(error: Exception, directory: Path) -> str:
    """Return the line of the template that raised an error, as ``, line 3``."""
    found, trace = "", error.__traceback__
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename).parent == directory:
            found = f", line {trace.tb_lineno}"
        trace = trace.tb_next
    return found


def _jinja2() -> Any:
    try:
        import jinja2  # an optional dependency
    except ImportError as error:
        raise TemplateError("templates need Jinja2: install openstack-factstore[agent]") from error
    return jinja2
