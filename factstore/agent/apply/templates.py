"""Jinja2 templates that render a context.

Templates are sandboxed: they print facts and run no Python code.  They are strict: a value that does
not exist, is null, or cannot be read is an error, unless the template uses ``default`` or ``is
defined``.

Nothing is escaped, since templates are not HTML.  Other members can publish a fact that contains line
breaks: the filters ``address``, ``line``, ``shell`` and ``json`` print a fact so that it adds no lines,
and the tests ``address`` and ``hostname`` check whether a value is fit for a file such as /etc/hosts.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factstore.agent.apply.recording import Recorder

if TYPE_CHECKING:
    from factstore.agent.apply.template_environment import TemplateEnvironment


class TemplateError(Exception):
    """A template is missing or invalid, or does not fit the context."""


def render(source: Path, document: Mapping[str, Any], recorder: Recorder | None = None) -> str:
    """Return the text that a template renders from a context's document.

    :param recorder: records what the template reads.
    :raises TemplateError: the template cannot be rendered.
    """
    with _errors(source):
        environment = make_environment(source.parent)
        try:
            template = environment.get_template(source.name)
            return template.render(variables(document, recorder))
        finally:
            if recorder is not None:
                recorder.templates |= environment.files


def check(source: Path) -> None:
    """Check a template and those that it includes: that they exist, and their syntax and filters.

    :raises TemplateError: a template is missing or invalid.
    """
    with _errors(source):
        environment = make_environment(source.parent)
    names, checked = [source.name], set()
    while names:
        name = names.pop()
        checked.add(name)
        with _errors(source.parent / name, source.parent):
            names += _check(environment, name) - checked


def _check(environment: TemplateEnvironment, name: str) -> set[str]:
    """Check one template; return the names of those that it needs."""
    from jinja2 import TemplateSyntaxError, meta, nodes

    assert environment.loader is not None  # noqa: S101 - it was given
    source, filename, _ = environment.loader.get_source(environment, name)
    tree = environment.parse(source, name, filename)
    for kind, known in ((nodes.Filter, environment.filters), (nodes.Test, environment.tests)):
        for node in tree.find_all(kind):
            if node.name not in known:
                word = kind.__name__.lower()
                reason = f"the {word} {node.name!r} does not exist"
                raise TemplateSyntaxError(reason, node.lineno, name, filename)
    environment.get_template(name)
    for include in tree.find_all(nodes.Include):
        if include.ignore_missing:
            include.template = nodes.Const(())
    return {each for each in meta.find_referenced_templates(tree) if each is not None}


@contextlib.contextmanager
def _errors(source: Path, directory: Path | None = None) -> Iterator[None]:
    """Raise TemplateError for all errors of loading and rendering a template."""
    directory = source.parent if directory is None else directory
    try:
        import jinja2  # an optional dependency
    except ImportError as error:
        reason = "templates need Jinja2: install openstack-factstore[agent]"
        raise TemplateError(reason) from error
    try:
        yield
    except jinja2.TemplateNotFound as error:
        missing = directory / (error.name or "")
        raise TemplateError(f"template {missing} does not exist") from error
    except jinja2.TemplateSyntaxError as error:
        file = error.filename or source
        raise TemplateError(f"{file}, line {error.lineno}: {error.message}") from error
    except Exception as error:  # an expression in a template can raise anything
        file, reason = f"{source}{_line(error, directory)}", " ".join(str(error).split())
        raise TemplateError(f"{file}: {reason or type(error).__name__}") from error


def variables(document: Mapping[str, Any], recorder: Recorder | None = None) -> dict[str, Any]:
    """Return a template's variables: the document's, with ``self`` as ``me``, and ``context``.

    :param recorder: records what is read of them.
    """
    prepared = _prepared(document, recorder)
    parts = dict(prepared)
    context = {"self" if name == "me" else name: value for name, value in prepared.items()}
    if recorder is None:
        return {"me": None, **parts, "context": context}
    parts = {
        name: recorder.wrap("self" if name == "me" else name, value, context)
        for name, value in parts.items()
    }
    return {"me": None, **parts, "context": recorder.wrap("", context, context)}


def _prepared(document: Mapping[str, Any], recorder: Recorder | None) -> dict[str, Any]:
    """Return a document with names and holes, which is made once for all templates."""
    from factstore.agent.apply.template_data import prepare

    if recorder is None:
        return prepare(document)
    if recorder.prepared is None or recorder.prepared[0] is not document:
        recorder.prepared = document, prepare(document)
    return recorder.prepared[1]


def make_environment(directory: Path) -> TemplateEnvironment:
    """Return the Jinja2 environment for the templates in a directory."""
    from factstore.agent.apply.template_environment import TemplateEnvironment

    return TemplateEnvironment(directory)


def _line(error: Exception, directory: Path) -> str:
    """Return the line of the template that raised an error, as ``, line 3``."""
    found, trace = "", error.__traceback__
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename).parent == directory:
            found = f", line {trace.tb_lineno}"
        trace = trace.tb_next
    return found
