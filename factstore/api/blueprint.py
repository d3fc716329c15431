"""flask-smorest's Blueprint with this API's rules.

Invalid bodies and parameters, unknown fields and parameters, and repeated parameters are answered
with 400, never 422.  JSON is parsed strictly.  The OpenAPI document lists every error of an
operation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any, NoReturn, TypeVar

import marshmallow as ma
from flask import Flask, Request, request
from flask_smorest import Blueprint as SmorestBlueprint
from webargs.flaskparser import FlaskParser
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import (
    ClientDisconnected,
    RequestEntityTooLarge,
    RequestTimeout,
    UnsupportedMediaType,
)

from factstore.api import openapi, openapi_headers
from factstore.api.body_limit import BODY_BYTES, BodyTooLarge
from factstore.api.media import JSON, check_charset
from factstore.api.schema_errors import schema_error
from factstore.core.errors import Invalid
from factstore.core.model.counts import counted
from factstore.core.model.path import quoted
from factstore.core.model.value import parse_json

REQUEST_HEADERS = "factstore.request_headers"
"""The application's extension with the request headers that each view heeds."""

OPTIONAL = "is_optional"
"""The attribute of a schema that is true if a request needs no body."""

_View = TypeVar("_View", bound=Callable[..., Any])
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")


class Parser(FlaskParser):
    """Parses requests strictly."""

    DEFAULT_VALIDATION_STATUS = 400
    DEFAULT_UNKNOWN_BY_LOCATION: dict[str, str | None] = {  # noqa: RUF012 - the base class declares it so
        **FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION,
        "json": ma.RAISE,
        "query": ma.RAISE,
    }

    def load_querystring(self, req: Request, schema: ma.Schema) -> Any:
        """Return the query parameters, each of which may be given only once.

        :raises Invalid: ``ambiguous``.
        """
        args: MultiDict[str, str] = req.args
        for name, values in args.lists():
            if len(values) > 1:
                raise Invalid(
                    f"Query parameter {quoted(name)} is given twice. Give it once.",
                    code="ambiguous",
                )
        return args.to_dict()

    def load_json(self, req: Request, schema: ma.Schema) -> Any:
        """Return the body, parsed strictly as JSON, or an empty object if there is no body.

        An empty body is none, whatever its type: many clients declare a type for each request.
        """
        if (getattr(schema, OPTIONAL, False) or not req.mimetype) and not read_body(req):
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
        """Raise an error that names the first invalid field."""
        messages: Any = error.messages
        location = next(iter(messages), "json") if isinstance(messages, dict) else "json"
        raise schema_error(messages.get(location, messages), location, schema)


def read_json(req: Request) -> Any:
    """Return a request's body, parsed as JSON.

    :raises UnsupportedMediaType: its type is not JSON, or it is compressed.
    """
    if req.mimetype != JSON:
        check_encoding(req)
        raise UnsupportedMediaType("Send JSON with Content-Type: application/json.")
    return parse_json(read_body(req))


def read_body(req: Request) -> bytes:
    """Return a request's complete body, a text in UTF-8.

    :raises UnsupportedMediaType: it is compressed, or declared to be in another charset.
    :raises RequestEntityTooLarge: it is larger than 1 MiB.
    :raises Invalid: it ended early, or its chunks are malformed.
    :raises RequestTimeout: it stopped to arrive.
    """
    check_encoding(req)
    try:
        body: bytes = req.get_data(parse_form_data=False)
    except ClientDisconnected as error:
        if isinstance(error.__context__, TimeoutError):
            raise RequestTimeout("The body did not arrive in time. Send it again.") from None
        if isinstance(error.__context__, BodyTooLarge):
            raise RequestEntityTooLarge(str(error.__context__) or None) from None
        raise Invalid("The body ended early, or its chunks are malformed. Send it again.") from None
    if len(body) > BODY_BYTES:
        raise RequestEntityTooLarge
    # When a connection breaks, servers pass on the part that has arrived.
    length = req.content_length
    if length is not None and len(body) < length:
        raise Invalid(
            f"The body ended after {len(body)} of {counted(length, 'byte')}. Send it again."
        )
    check_charset(req, body)
    return body


def check_encoding(req: Request) -> None:
    """Refuse compressed bodies, because a small one can expand to a huge one.

    :raises UnsupportedMediaType: ``Content-Encoding`` names anything but identity.
    """
    if req.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("Send the body without Content-Encoding.")


class Blueprint(SmorestBlueprint):
    """A flask-smorest blueprint with a strict parser, whose operations list their error codes.

    Decorators that only describe a view do not wrap it, so they cost nothing when it serves a request.

    :param public: the operations need no credentials.
    :param sends_files: the responses are files, which clients get whatever they accept.
    """

    ARGUMENTS_PARSER = Parser()

    def __init__(
        self, *args: Any, public: bool = False, sends_files: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._public = public
        self.sends_files = sends_files
        self._prepare_doc_cbks.append(self._prepare_operation_doc)

    def error_codes(self, *codes: str) -> Callable[[_View], _View]:
        """List the error codes of a view, in addition to those of every view."""
        return _describing("error_codes", codes)

    def arguments(self, schema: Any, **kwargs: Any) -> Any:
        """Pass the body to a view, checked by a schema; its example becomes the operation's."""
        # The parser would make an instance of a class for each request.
        schema = schema() if isinstance(schema, type) else schema
        setattr(schema, OPTIONAL, not kwargs.get("required", True))
        return super().arguments(schema, **{"example": getattr(schema, "example", None), **kwargs})

    def request_headers(self, *names: str) -> Callable[[_View], _View]:
        """List the request headers of a view, in addition to those of every view.

        A request with a guard that is not listed is refused; see :mod:`factstore.api.conditional`.
        """
        return _describing("request_headers", names)

    def response(
        self, status_code: int, schema: Any = None, *, headers: Iterable[str] = (), **kwargs: Any
    ) -> Callable[[_View], _View]:
        """Describe the response of a view, with headers in addition to those of every response."""
        decorate: Callable[[_View], _View] = super().response(
            status_code, schema, headers={name: name for name in headers}, **kwargs
        )
        return decorate

    def alt_response(
        self, status_code: int, *, headers: Iterable[str] = (), **kwargs: Any
    ) -> Callable[[_View], _View]:
        """Describe another response; in flask-smorest this wraps the view."""
        return _unwrapped(
            super().alt_response(status_code, headers={name: name for name in headers}, **kwargs)
        )

    def not_modified(self, *headers: str) -> Callable[[_View], _View]:
        """Describe the response 304 of a conditional read."""
        return self.alt_response(304, description="Not changed, or not in time", headers=headers)

    @staticmethod
    def doc(**kwargs: Any) -> Callable[[_View], _View]:
        """Describe a view; in flask-smorest this wraps it."""
        return _unwrapped(SmorestBlueprint.doc(**kwargs))

    def route(self, rule: str, **options: Any) -> Any:
        """Register a view at a URL, and describe the names in the URL."""
        return super().route(rule, parameters=openapi.path_parameters(rule), **options)

    def _store_endpoint_docs(self, endpoint: str, *args: Any, **options: Any) -> None:
        super()._store_endpoint_docs(endpoint, *args, **options)
        name = _CAPITAL.sub("_", endpoint).lower()
        for method in self._docs[endpoint].keys() - {"parameters"}:
            self._docs[endpoint][method]["operation_id"] = f"{method}_{name}"

    def _prepare_operation_doc(
        self, doc: dict[str, Any], about: dict[str, Any], *, method: str, **_: Any
    ) -> dict[str, Any]:
        shared = openapi.EVERYWHERE + (() if self._public else openapi.AUTHENTICATED)
        codes = (*shared, *about.get("error_codes", ()))
        openapi.add_errors(doc, codes, body=method != "head")
        doc.setdefault("parameters", []).extend(["microversion", *about.get("request_headers", ())])
        doc["operationId"] = about["operation_id"]
        if self._public:
            doc["security"] = []
        return doc

    def query(self, schema: type[ma.Schema]) -> Callable[[Any], Any]:
        """Pass the query parameters to a view, checked by a schema, which every view must have."""
        checked = schema()
        defaults = checked.load({})
        through_parser: Callable[[Any], Any] = self.arguments(checked, location="query")

        def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
            parsing = through_parser(view)

            @wraps(parsing)
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                if request.query_string:
                    return parsing(*args, **kwargs)
                return view(*args, dict(defaults), **kwargs)  # most requests have no query

            return wrapper

        return decorate


def request_header_table(app: Flask) -> dict[tuple[str, str], frozenset[str]]:
    """Return the names of the request headers that each view lists, by its endpoint and method."""
    found = {}
    for endpoint, view in app.view_functions.items():
        view_class = getattr(view, "view_class", None)
        for method in view_class.methods or () if view_class is not None else ():
            handler = getattr(view_class, method.lower())
            listed = getattr(handler, "_apidoc", {}).get("request_headers", ())
            names = frozenset(openapi_headers.REQUEST_HEADERS[each]["name"] for each in listed)
            found[endpoint, method] = names
            if method == "GET":
                found.setdefault((endpoint, "HEAD"), names)
    return found


def _describing(key: str, value: tuple[str, ...]) -> Callable[[_View], _View]:
    """Return a decorator that adds to a view's description, where flask-smorest keeps its own."""

    def decorate(view: _View) -> _View:
        view._apidoc = {**getattr(view, "_apidoc", {}), key: value}  # type: ignore[attr-defined]
        return view

    return decorate


def _unwrapped(decorate: Callable[[Any], Any]) -> Callable[[_View], _View]:
    """Return a decorator that describes a view like another one, but does not wrap it."""

    def describe(view: _View) -> _View:
        view._apidoc = decorate(view)._apidoc  # type: ignore[attr-defined]
        return view

    return describe
