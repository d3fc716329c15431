"""The Jinja2 environment of templates: sandboxed, strict, and without Python in what it prints.

``facts.cluster.keys`` is the fact of that name, and ``facts.cluster.keys()`` is the method: an
attribute that is not called is looked up among the data only.  Templates can change the lists and
dictionaries that they have created, and never the context.

Nothing in a template is evaluated before it is rendered, not even a constant: a check of templates
takes no longer than their syntax needs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from pathlib import Path
from types import BuiltinMethodType, MethodType
from typing import Any

from jinja2 import Environment, FileSystemLoader, TemplateSyntaxError, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.runtime import Context, Undefined
from jinja2.sandbox import SandboxedEnvironment, modifies_known_mutable
from jinja2.visitor import NodeTransformer

from factstore.agent.apply.template_data import READ_ONLY, Hole, Null, missing_below
from factstore.agent.apply.template_filters import FILTERS, TESTS
from factstore.agent.apply.template_text import TextFormatter, percent, text, to_json

_DATA = (dict, list, str, int, float)


class _CodeGenerator(CodeGenerator):
    """A generator of code that evaluates no expression in advance."""

    def _output_child_to_const(self, node: nodes.Expr, frame: Frame, finalize: Any) -> str:
        if not isinstance(node, (nodes.Const, nodes.TemplateData)):
            raise nodes.Impossible
        return super()._output_child_to_const(node, frame, finalize)


class TemplateEnvironment(SandboxedEnvironment):
    """The environment for the templates of a directory.

    :ivar files: the template files that were loaded.
    """

    intercepted_binops = frozenset("%")
    code_generator_class = _CodeGenerator

    def __init__(self, directory: Path) -> None:
        super().__init__(
            loader=_Loader(directory),
            undefined=Hole,
            finalize=text,
            extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"],
            autoescape=False,  # templates are not HTML
            keep_trailing_newline=True,
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,
        )
        self.files: set[Path] = set()
        self.filters.update(FILTERS)
        self.tests.update(TESTS)
        self.policies["json.dumps_function"] = to_json

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        transformed: nodes.Template = _DataAccess().visit(tree)
        return transformed

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Return an item of data, or a hole; or an attribute of another object."""
        if isinstance(obj, Undefined):
            return obj[argument]
        if not isinstance(obj, _DATA):
            return super().getitem(obj, argument)
        try:
            return obj[argument]  # type: ignore[index]
        except (TypeError, LookupError):
            if isinstance(argument, str) and argument.startswith("_"):
                return self.unsafe_undefined(obj, argument)
            hole = missing_below(obj, argument)
            return self.undefined(obj=obj, name=argument) if hole is None else hole

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Return False for attributes of Python, and for methods that change the context."""
        if isinstance(obj, READ_ONLY) and modifies_known_mutable(obj, attr):
            return False
        return super().is_safe_attribute(obj, attr, value)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805
        """Call a function or method; what returns nothing returns a hole."""
        result = super().call(__context, __obj, *args, **kwargs)
        if result is not None:
            return result
        owner, name = getattr(__obj, "__self__", None), getattr(__obj, "__name__", "the call")
        hole = missing_below(owner, args[0]) if name == "get" and args else None
        if hole is None:
            return Null(f"{name}() returned nothing")
        return Null(hole._undefined_message, exc=hole._undefined_exception)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Return the result of ``%``."""
        if isinstance(left, str):
            return percent(left, right)
        return super().call_binop(context, operator, left, right)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """Return a replacement for ``str.format``, or None if *value* is another method."""
        if not isinstance(value, (MethodType, BuiltinMethodType)) or not isinstance(
            value.__self__, str
        ):
            return None
        template, formatter = value.__self__, TextFormatter(self)
        if value.__name__ == "format":

            def replacement(*args: Any, **kwargs: Any) -> str:
                return formatter.vformat(template, args, kwargs)

            return update_wrapper(replacement, value)
        if value.__name__ == "format_map":
            return update_wrapper(lambda values: formatter.vformat(template, (), values), value)
        return None


class _DataAccess(NodeTransformer):
    """Turns attributes that are not called into items, and gives operands of ``~`` their text."""

    def visit_Call(self, node: nodes.Call) -> nodes.Node:  # noqa: N802 - Jinja2 calls it
        callee = node.node
        if not isinstance(callee, nodes.Getattr):
            return self.generic_visit(node)
        callee.node = self.visit(callee.node)
        node.node = nodes.Const(None, lineno=node.lineno)  # hides the callee from the visit
        self.generic_visit(node)
        node.node = callee
        return node

    def visit_Getattr(self, node: nodes.Getattr) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        name = nodes.Const(node.attr, lineno=node.lineno, environment=node.environment)
        return nodes.Getitem(
            node.node, name, node.ctx, lineno=node.lineno, environment=node.environment
        )

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.nodes = [
            nodes.Filter(
                operand,
                "string",
                [],
                [],
                None,
                None,
                lineno=node.lineno,
                environment=node.environment,
            )
            for operand in node.nodes
        ]
        return node


class _Loader(FileSystemLoader):
    """Loads the templates of a directory, and records which."""

    def get_source(
        self, environment: Environment, template: str
    ) -> tuple[str, str, Callable[[], bool]]:
        try:
            source, filename, is_current = super().get_source(environment, template)
        except UnicodeDecodeError as error:
            raise TemplateSyntaxError("the file is not UTF-8", 1, template) from error
        if isinstance(environment, TemplateEnvironment):
            environment.files.add(Path(filename))
        if source.startswith("\ufeff"):
            reason = "the file begins with a byte order mark: save it as UTF-8 without one"
            raise TemplateSyntaxError(reason, 1, template, filename)
        return source, filename, is_current
