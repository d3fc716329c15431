"""The Flask application and its blueprints."""

from __future__ import annotations

import importlib
import pkgutil
import threading
from collections.abc import Iterable, Iterator
from functools import lru_cache, partial
from typing import Any

from flask import Flask, Response
from flask_smorest import Api
from werkzeug.routing import BaseConverter, UnicodeConverter

from factstore import SERVICE_TYPE
from factstore import api as package
from factstore.api import (
    agent,
    docs_ui,
    errors,
    events,
    microversion,
    openapi,
    vendordata,
    versions,
)
from factstore.api.agent_files import AgentFiles
from factstore.api.blueprint import (
    REQUEST_HEADERS,
    Blueprint,
    request_header_table,
)
from factstore.api.body_limit import BODY_BYTES
from factstore.api.identity import EXTENSION as ACCESS
from factstore.api.identity import Access, Authorizer
from factstore.api.request_checks import check_request
from factstore.api.services import EXTENSION as SERVICES
from factstore.core.services.composition import Services


class FactPath(BaseConverter):
    """The rest of the URL, which the domain checks, so that a malformed path is 400 and not 404."""

    regex = ".*"
    part_isolating = False


class FactstoreApi(Api):
    """flask-smorest's Api with this API's errors, and without unused components in its document.

    Operations are described when the document is first read: it takes longer to build than the rest
    of the application, and few workers are asked for it.
    """

    DEFAULT_ERROR_RESPONSE_NAME = None

    def __init__(self, app: Flask) -> None:
        self._undescribed: list[Blueprint] = []
        self._lock = threading.Lock()
        super().__init__(app)

    def register_blueprint(self, blueprint: Blueprint) -> None:
        """Register the routes of a blueprint."""
        self._app.register_blueprint(blueprint)
        self._undescribed.append(blueprint)

    def document(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        with self._lock:
            while self._undescribed:
                each = self._undescribed.pop(0)
                each.register_views_in_doc(
                    self, self._app, self.spec, name=each.name, parameters=None
                )
                self.spec.tag({"name": each.name, "description": each.description})
            document: dict[str, Any] = self.spec.to_dict()
            return document

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
    begin_stream: events.BeginStream = lambda environ, watcher: None,
    agent_files: AgentFiles | None = None,
    vendor_data: vendordata.VendorDataSettings | None = None,
    service_type: str = SERVICE_TYPE,
    pages: Iterable[Blueprint] = (),
) -> Flask:
    """Return the application over some services.

    :param tokens: list the kinds of credentials in the OpenAPI document.
    :param begin_stream: prepares a request's connection for a stream.
    :param agent_files: the files of the agent; by default only that of this release.
    :param vendor_data: the options of the vendor data.
    :param service_type: the service's type in the catalog.
    :param pages: more pages, which are not part of the API's document.
    """
    app = Flask("factstore", static_folder=None)
    app.config.update(
        API_TITLE="factstore",
        API_VERSION="v1",
        OPENAPI_VERSION="3.1.0",
        API_SPEC_OPTIONS={
            "security": openapi.SECURITY if tokens else [],
            "info": {"description": docs_ui.INTRODUCTION},
        },
        # One more than allowed, because werkzeug truncates chunked bodies there silently.
        MAX_CONTENT_LENGTH=BODY_BYTES + 1,
    )
    app.json.compact = True  # type: ignore[attr-defined]
    # URLs are not normalised, and requests are not redirected.
    app.url_map.merge_slashes = False
    app.url_map.converters["fact_path"] = FactPath
    app.url_map.converters["grant_id"] = UnicodeConverter  # one segment, checked by the domain
    app.extensions[SERVICES] = services
    app.extensions[ACCESS] = Access(authorizer)
    app.extensions[microversion.EXTENSION] = {SERVICE_TYPE, service_type}
    app.extensions[events.BEGIN_STREAM] = begin_stream
    app.extensions[agent.FILES] = agent_files or AgentFiles()
    app.extensions[vendordata.SETTINGS] = vendor_data or vendordata.VendorDataSettings()
    app.before_request(check_request)
    app.after_request(microversion.set_headers)
    app.after_request(_omit_default_type)
    api = FactstoreApi(app)
    for each in list_blueprints():
        api.register_blueprint(each)
    for page in (docs_ui.page, *pages):
        app.register_blueprint(page)
    app.extensions[REQUEST_HEADERS] = request_header_table(app)
    app.extensions[versions.DOCUMENT] = lru_cache(8)(partial(_document_text, app, api))
    return app


def list_blueprints() -> Iterator[Blueprint]:
    """Yield the ``blueprint`` of each module of the package that has one, ordered by module."""
    for found in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{found.name}")
        if isinstance(value := getattr(module, "blueprint", None), Blueprint):
            yield value


def _document_text(app: Flask, api: FactstoreApi, root: str) -> str:
    """Return the OpenAPI document of an application that is mounted at a root."""
    document = {**api.document(), "servers": [{"url": root or "/"}]}
    return app.json.dumps(document, sort_keys=False)


def _omit_default_type(response: Response) -> Response:
    """Remove the media type that Flask gives to a response without a body, such as 204."""
    if response.mimetype == "text/html" and response.response in ([], [b""]):
        response.headers.remove("Content-Type")
    return response
