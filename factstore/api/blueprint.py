"""The house Blueprint: flask-smorest with our contract instead of its defaults.

400 for every bad body or parameter (never 422), unknown fields and parameters refused, a parameter
given twice refused, JSON read strictly, and an OpenAPI document that names every refusal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, NoReturn, TypeVar

import marshmallow as ma
from flask import Request, request
from flask_smorest import Blueprint as SmorestBlueprint
from webargs.flaskparser import FlaskParser
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge, UnsupportedMediaType

from factstore.api import openapi
from factstore.core.errors import Invalid
from factstore.core.model.path import quoted
from factstore.core.model.value import parse_json

BODY_BYTES = 1024 * 1024

_View = TypeVar("_View", bound=Callable[..., Any])
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")


class Parser(FlaskParser):
    """Reads requests strictly."""

    DEFAULT_VALIDATION_STATUS = 400
    DEFAULT_UNKNOWN_BY_LOCATION: dict[str, str | None] = {  # noqa: RUF012 - so it is above
        **FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION,
        "json": ma.RAISE,
        "query": ma.RAISE,
    }

    def load_querystring(self, req: Request, schema: ma.Schema) -> Any:
        """The query, each parameter at most once.

        :raises Invalid: ``ambiguous``.
        """
        args: MultiDict[str, str] = req.args
        for name, values in args.lists():
            if len(values) > 1:
                raise Invalid(
                    f"the query parameter {quoted(name)} is given twice; give it once.",
                    code="ambiguous",
                )
        return args.to_dict()

    def load_json(self, req: Request, schema: ma.Schema) -> Any:
        """The body as JSON, read strictly; no body at all stands for an empty object."""
        if not req.mimetype and not read_body(req):
            return {}
        return read_json(req)

    def handle_error(
        self,
        error: ma.ValidationError,
        req: Request,
        schema: ma.Schema,
        *,
        error_status_code: int | None,
        error_headers: Mapping[str, str] | None,
    ) -> NoReturn:
        """Refuse, naming the first thing that is wrong."""
        messages: Any = error.messages
        location = next(iter(messages), "json") if isinstance(messages, dict) else "json"
        raise refusal(messages.get(location, messages), location)


def refusal(messages: Any, location: str) -> Invalid:
    """What marshmallow found wrong, as one sentence about the first field."""
    where, what = _first(messages)
    if location == "query":
        return Invalid(
            f"query parameter {quoted(where)}: {what}", code="query_invalid", extra={"field": where}
        )
    field = f"field {quoted(where)}: " if where else "the body: "
    return Invalid(f"{field}{what}", code="schema", extra={"field": where})


def _first(messages: Any) -> tuple[str, str]:
    path: list[str] = []
    while isinstance(messages, dict) and messages:
        name, messages = next(iter(messages.items()))
        if name != "_schema":
            path.append(str(name))
    while isinstance(messages, list) and messages:
        messages = messages[0]
    return ".".join(path), str(messages)


def read_json(req: Request) -> Any:
    """A request's body as JSON.

    :raises UnsupportedMediaType: it is not said to be JSON, or it is compressed.
    """
    check_encoding(req)
    if req.mimetype != "application/json":
        raise UnsupportedMediaType("send JSON, with Content-Type: application/json.")
    return parse_json(read_body(req))


def read_body(req: Request) -> bytes:
    """A request's body, whole or not at all: servers pass on what came before a connection broke.

    :raises RequestEntityTooLarge: it is larger than 1 MiB.
    :raises Invalid: it ended early, or its chunks are malformed.
    """
    try:
        body: bytes = req.get_data(parse_form_data=False)
    except ClientDisconnected:
        raise Invalid("the body ended early, or its chunks are malformed; send it again.") from None
    if len(body) > BODY_BYTES:
        raise RequestEntityTooLarge
    length = req.content_length
    if length is not None and len(body) < length:
        raise Invalid(f"the body ended after {len(body)} of {length} bytes; send it again.")
    return body


def check_encoding(req: Request) -> None:
    """Refuse compressed bodies: a small one may hide a huge one.

    :raises UnsupportedMediaType: ``Content-Encoding`` names anything but identity.
    """
    if req.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("send the body without Content-Encoding.")


class Blueprint(SmorestBlueprint):
    """A flask-smorest blueprint with our parser, whose operations say how they may refuse.

    What describes a view does not wrap it, so that a description costs no request anything.

    :param public: whether its operations are for everybody, without a token.
    """

    ARGUMENTS_PARSER = Parser()

    def __init__(self, *args: Any, public: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._public = public
        self._prepare_doc_cbks.append(self._prepare_house_doc)

    def refusals(self, *codes: str) -> Callable[[_View], _View]:
        """Say by which codes a view may refuse, beside those of every view."""
        return _noting("refusals", codes)

    def takes(self, *headers: str) -> Callable[[_View], _View]:
        """Say which headers of a request a view reads, beside those that every view does."""
        return _noting("takes", headers)

    def alt_response(self, *args: Any, **kwargs: Any) -> Callable[[_View], _View]:
        """As in flask-smorest, where it wraps the view."""
        return _unwrapped(super().alt_response(*args, **kwargs))

    @staticmethod
    def doc(**kwargs: Any) -> Callable[[_View], _View]:
        """As in flask-smorest, where it wraps the view."""
        return _unwrapped(SmorestBlueprint.doc(**kwargs))

    def route(self, rule: str, **options: Any) -> Any:
        """As in flask-smorest, with the grammar of the names in the URL."""
        return super().route(rule, parameters=openapi.path_parameters(rule), **options)

    def _store_endpoint_docs(self, endpoint: str, *args: Any, **options: Any) -> None:
        super()._store_endpoint_docs(endpoint, *args, **options)
        name = _CAPITAL.sub("_", endpoint).lower()
        for method in self._docs[endpoint].keys() - {"parameters"}:
            self._docs[endpoint][method]["operation_id"] = f"{method}_{name}"

    def _prepare_house_doc(
        self, doc: dict[str, Any], about: dict[str, Any], *, method: str, **_: Any
    ) -> dict[str, Any]:
        shared = openapi.EVERYWHERE + (() if self._public else openapi.AUTHENTICATED)
        codes = (*shared, *about.get("refusals", ()))
        openapi.complete(doc, codes, body=method != "head")
        doc.setdefault("parameters", []).extend(["microversion", *about.get("takes", ())])
        doc["operationId"] = about["operation_id"]
        if self._public:
            doc["security"] = []
        return doc

    def query(self, schema: type[ma.Schema]) -> Callable[[Any], Any]:
        """Pass the checked query parameters to a view; every view names its schema."""
        checked = schema()
        defaults = checked.load({})
        through_parser: Callable[[Any], Any] = self.arguments(checked, location="query")

        def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
            parsing = through_parser(view)

            @wraps(parsing)
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                if request.query_string:
                    return parsing(*args, **kwargs)
                return view(*args, dict(defaults), **kwargs)  # most requests have none

            return wrapper

        return decorate


def _noting(key: str, what: tuple[str, ...]) -> Callable[[_View], _View]:
    """Keep something in a view's description, where flask-smorest keeps its own."""

    def decorate(view: _View) -> _View:
        view._apidoc = {**getattr(view, "_apidoc", {}), key: what}  # type: ignore[attr-defined]
        return view

    return decorate


def _unwrapped(decorate: Callable[[Any], Any]) -> Callable[[_View], _View]:
    """What a decorator notes of a view, without what it puts around it."""

    def note(view: _View) -> _View:
        view._apidoc = decorate(view)._apidoc  # type: ignore[attr-defined]
        return view

    return note


def check_url() -> None:
    """Refuse paths whose percent-encoding hides a separator or anything no name may hold.

    What the application sees is decoded already: ``a%2Fb`` would be ``a/b``, and every byte that is
    not UTF-8 would be the same replacement character.  And the router would take ``//v1`` for ``/v1``.

    :raises Invalid: ``path_invalid``.
    """
    if request.environ.get("PATH_INFO", "").startswith("//"):
        raise Invalid("the URL's path begins with two slashes; it has one.", code="path_invalid")
    raw = request.environ.get("RAW_URI") or request.environ.get("REQUEST_URI") or ""
    path = raw.partition("?")[0]
    if "%" not in path:
        return
    for code in path.split("%")[1:]:
        if code[:2].upper() not in _HARMLESS:
            raise Invalid(
                f"the URL holds %{code[:2]!s}, which no name may hold, encoded or not; "
                "names are ASCII letters, digits and '_.:@-'.",
                code="path_invalid",
            )


_HARMLESS = frozenset(
    f"{ord(c):02X}" for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:@-"
)
