"""A web page that shows the OpenAPI document and can send requests.

It is Swagger UI from the package ``flask-swagger-ui``, of which only the files are used.  Without
that package there is no page.  All files come from this service, and the content security policy
forbids others. The page is not part of the API, so the OpenAPI document does not contain it.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from flask import Response, request, send_file
from flask.views import MethodView
from werkzeug.exceptions import NotFound

from factstore.api.blueprint import Blueprint
from factstore.api.schemas.base import NoQuery

PACKAGE = "flask_swagger_ui"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

_OWN_FILES = ("/v1/docs", "/v1/docs/start.js")
_SWAGGER_FILES = (
    "/v1/docs/swagger-ui-bundle.js",
    "/v1/docs/swagger-ui.css",
    "/v1/docs/favicon-32x32.png",
)
_TYPES = {".js": "text/javascript", ".css": "text/css", ".png": "image/png"}

PATHS = frozenset(_OWN_FILES + _SWAGGER_FILES)
"""Paths of the page and its files."""

INTRODUCTION = """\
factstore keeps the facts of a software stack that are known only after its instances exist, such as
addresses and "service started". Put a fact into a stack, which creates the stack, and let others wait
for it or follow every change.

To try it here, open an operation, choose "Try it out" and "Execute". The examples are complete; begin
with `PUT /v1/stacks/{stack}/facts/{path}`. With Keystone, first choose "Authorize" and enter a token.

The same with curl: `curl -X PUT -d 10.0.0.5 URL/v1/stacks/stack-1/facts/nodes/head/ip`.
[The document of this page](openapi.json) is for programs. The guides and the reference are in the
folder `doc` of the source.
"""
"""The text at the top of the page, which is part of the document."""

page = Blueprint(
    "docs_ui", __name__, description="The documentation page.", public=True, sends_files=True
)


class DocsPage(MethodView):
    """The page and its files."""

    @page.query(NoQuery)
    @page.request_headers("if_none_match_read")
    def get(self, query: dict[str, Any]) -> Response:
        """Send the page or one of its files."""
        swagger_ui = _swagger_ui()
        if swagger_ui is None:
            raise NotFound("This service has no page. Install factstore with its extra 'page'.")
        name = request.path.rpartition("/")[2]
        name = "index.html" if name == "docs" else name
        directory = Path(__file__).with_name("files") if request.path in _OWN_FILES else swagger_ui
        file = directory / name
        response = send_file(file, mimetype=_TYPES.get(file.suffix, "text/html"))
        response.headers.update(HEADERS)
        return response


for path in PATHS:
    page.route(path)(DocsPage)


def _swagger_ui() -> Path | None:
    """Return the directory of Swagger UI's files, or None if the package is not installed."""
    spec = find_spec(PACKAGE)  # does not import the package
    return Path(spec.origin).with_name("dist") if spec and spec.origin else None
