"""A page for people that shows the OpenAPI document, and lets them try what it says.

It is Swagger UI out of the package ``flask-swagger-ui``, of which only the files are used; where it is
not installed there is no page.  All of it comes from this service, and its policy lets nothing else in.
It is no part of the API: the OpenAPI document does not know of it.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from flask import Response, request, send_file
from flask.views import MethodView
from werkzeug.exceptions import NotFound

from factstore.api import schemas
from factstore.api.blueprint import Blueprint

PACKAGE = "flask_swagger_ui"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

_OURS = ("/v1/docs", "/v1/docs/start.js")
_THEIRS = (
    "/v1/docs/swagger-ui-bundle.js",
    "/v1/docs/swagger-ui.css",
    "/v1/docs/favicon-32x32.png",
)
_TYPES = {".js": "text/javascript", ".css": "text/css", ".png": "image/png"}

PATHS = frozenset(_OURS + _THEIRS)
"""Where the page and everything that belongs to it is."""

blueprint = Blueprint("page", __name__, description="The page.", public=True)


class Page(MethodView):
    """The page and its files."""

    @blueprint.query(schemas.NoQuery)
    def get(self, query: dict[str, Any]) -> Response:
        """Send one of them; caches ask each time whether they still have it right."""
        swagger_ui = _swagger_ui()
        if swagger_ui is None:
            raise NotFound("this service has no page; install factstore with its extra 'page'.")
        name = request.path.rpartition("/")[2]
        name = "index.html" if name == "docs" else name
        directory = Path(__file__).with_name("files") if request.path in _OURS else swagger_ui
        file = directory / name
        response = send_file(file, mimetype=_TYPES.get(file.suffix, "text/html"))
        response.headers.update(HEADERS)
        return response


for path in PATHS:
    blueprint.route(path)(Page)


def _swagger_ui() -> Path | None:
    """The directory of Swagger UI's files; None where it is not installed."""
    spec = find_spec(PACKAGE)  # which does not import it
    return Path(spec.origin).with_name("dist") if spec and spec.origin else None
