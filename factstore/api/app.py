"""The Flask application: the URL table, and what applies to every request."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, lru_cache, partial
from wsgiref.types import WSGIEnvironment

from flask import Flask, Response, request
from flask_smorest import Api
from werkzeug.exceptions import NotAcceptable
from werkzeug.routing import BaseConverter

from factstore.api import (
    batch,
    blueprint,
    context,
    convergence,
    docs_ui,
    errors,
    events,
    facts,
    grants,
    limits,
    members,
    microversion,
    openapi,
    stacks,
    versions,
    waiters,
)
from factstore.api.identity import EXTENSION as ACCESS
from factstore.api.identity import Access, Authorizer
from factstore.api.services import EXTENSION as SERVICES
from factstore.api.services import ROUTE, Services

BLUEPRINTS = (
    versions.blueprint,
    stacks.blueprint,
    facts.blueprint,
    batch.blueprint,
    events.blueprint,
    context.blueprint,
    members.blueprint,
    convergence.blueprint,
    waiters.blueprint,
    grants.blueprint,
    limits.blueprint,
)


class Anything(BaseConverter):
    """The rest of the URL, as it is; the domain's grammar judges it, not the router."""

    regex = ".*"
    part_isolating = False


class HouseApi(Api):
    """flask-smorest's Api with our errors, and nothing in its document that no operation has."""

    DEFAULT_ERROR_RESPONSE_NAME = None

    def _register_error_handlers(self) -> None:
        errors.register(self._app)

    def _register_responses(self) -> None:
        openapi.add_components(self.spec)

    def _register_pagination_header(self) -> None:
        pass


def create_app(
    services: Services,
    authorizer: Authorizer,
    *,
    tokens: bool = True,
    set_write_timeout: Callable[[WSGIEnvironment], None] = lambda environ: None,
) -> Flask:
    """Return the application over some services.

    :param tokens: list the kinds of credentials in the OpenAPI document.
    :param set_write_timeout: limits the time of writes to a request's connection.
    """
    app = Flask("factstore", static_folder=None)
    app.config.update(
        API_TITLE="factstore",
        API_VERSION="v1",
        OPENAPI_VERSION="3.1.0",
        API_SPEC_OPTIONS={"security": openapi.SECURITY if tokens else []},
        MAX_CONTENT_LENGTH=blueprint.BODY_BYTES + 1,  # werkzeug cuts chunked bodies there, silently
    )
    app.json.compact = True  # type: ignore[attr-defined]
    # No clean-up, no redirects: a URL that is not exactly right is not right.
    app.url_map.merge_slashes = False
    app.url_map.converters["anything"] = Anything
    app.extensions[SERVICES] = services
    app.extensions[ACCESS] = Access(authorizer)
    app.extensions[events.WRITE_TIMEOUT] = set_write_timeout
    app.before_request(_note_route)
    app.before_request(blueprint.check_url)
    app.before_request(_check_accept)
    microversion.register(app)
    api = HouseApi(app)
    for each in BLUEPRINTS:
        api.register_blueprint(each)
    app.register_blueprint(docs_ui.blueprint)  # not the Api's: it is none of the API
    app.extensions[versions.DOCUMENT] = lru_cache(8)(partial(_document, app, api))
    return app


@cache
def _template(rule: str) -> str:
    """A route as the API's documents write it: ``/v1/stacks/{stack}``."""
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule)


def _note_route() -> None:
    if request.url_rule is not None:
        request.environ[ROUTE] = _template(request.url_rule.rule)


def _document(app: Flask, api: Api, root: str) -> str:
    """The OpenAPI document of the application when it is mounted at some root."""
    document = {**api.spec.to_dict(), "servers": [{"url": root or "/"}]}
    return app.json.dumps(document, sort_keys=False)


def _check_accept() -> Response | None:
    """Refuse to answer with a type that the caller does not take."""
    header = request.headers.get("Accept")
    if header is None or header == "*/*" or request.routing_exception is not None:
        return None
    offered = ["application/json"]
    if request.path.endswith("/events"):
        offered.append(events.STREAM)
    if request.path in docs_ui.PATHS:
        return None  # its files are what they are, and browsers know what to do with them
    if request.args.get("format") == "raw":
        offered = ["text/plain"]
    if request.accept_mimetypes.best_match(offered) is None:
        raise NotAcceptable(f"this is served as {' or '.join(offered)} only.")
    return None
