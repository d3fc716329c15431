"""Checks of every request before its view: its URL, its guards, its Accept header and its version."""

from __future__ import annotations

import re
from functools import cache

from flask import Response, current_app, request
from werkzeug.exceptions import NotAcceptable

from factstore.api import conditional, event_stream, microversion
from factstore.api.blueprint import REQUEST_HEADERS, Blueprint
from factstore.api.media import JSON, preferred
from factstore.api.services import ROUTE
from factstore.core.errors import Invalid

_NAME_CHARACTERS = frozenset(
    f"{ord(c):02X}" for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:@-"
)


def check_request() -> Response | None:
    """Return an error response, or None to pass the request on; note its route for the metrics.

    :raises Invalid: ``path_invalid`` or ``header_invalid``.
    :raises NotAcceptable: the caller does not accept the type of the response.
    """
    if request.url_rule is not None:
        request.environ[ROUTE] = _template(request.url_rule.rule)
    _check_url()
    if request.routing_exception is not None:
        return None  # a URL that does not exist is 404 in every version and for every type
    heeded = current_app.extensions[REQUEST_HEADERS].get((request.endpoint, request.method))
    if heeded is not None:
        conditional.check_guards(heeded)
        conditional.check_no_body()
    accept = request.headers.get("Accept")
    if accept is not None and accept != "*/*":
        _check_accept()
    version = request.headers.get(microversion.HEADER)
    if version is None:
        return None
    return microversion.check(version, current_app.extensions[microversion.EXTENSION])


@cache
def _template(rule: str) -> str:
    """Return a route as a path template, such as ``/v1/stacks/{stack}``."""
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule)


def _check_url() -> None:
    """Refuse paths with a percent-encoded separator or another character that names cannot contain."""
    # The application gets the path decoded: a%2Fb would be a/b, and each byte that is not UTF-8 the
    # same replacement character. And the router would treat //v1 as /v1.
    if request.environ.get("PATH_INFO", "").startswith("//"):
        raise Invalid("The URL's path begins with two slashes. Send one.", code="path_invalid")
    raw = request.environ.get("RAW_URI") or request.environ.get("REQUEST_URI") or ""
    path = raw.partition("?")[0]
    if "%" not in path:
        return
    for code in path.split("%")[1:]:
        if code[:2].upper() not in _NAME_CHARACTERS:
            raise Invalid(
                f"The URL contains %{code[:2]!s}, a character that is not allowed in names, encoded or "
                "not. Names consist of ASCII letters, digits and '_.:@-'.",
                code="path_invalid",
            )


def _check_accept() -> None:
    blueprint = current_app.blueprints.get(request.blueprint or "")
    if isinstance(blueprint, Blueprint) and blueprint.sends_files:
        return
    types = [JSON]
    if request.path.endswith("/events"):
        types.append(event_stream.STREAM)
    if request.args.get("format") == "raw":
        types = ["text/plain"]
    if preferred(request, types) is None:
        raise NotAcceptable(f"The response is only available as {' or '.join(types)}.")
