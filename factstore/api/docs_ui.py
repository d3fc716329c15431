"""Web pages: one that shows the OpenAPI document and can send requests, and one about errors.

The first is Swagger UI from the package ``flask-swagger-ui``, of which only the files are used.
Without that package it does not exist.  All files come from this service, and the content security
policy forbids others. The pages are not part of the API, so the OpenAPI document does not contain them.
"""

from __future__ import annotations

import re
from functools import cache
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from flask import Response, request, send_file
from flask.views import MethodView
from werkzeug.exceptions import NotFound

from factstore.api.blueprint import Blueprint
from factstore.api.error_remedies import REMEDIES
from factstore.api.errors import HELP_PAGE, PREFIX, STATUS
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

SWAGGER_PATHS = frozenset(_OWN_FILES + _SWAGGER_FILES)
"""Paths of Swagger UI's page and its files."""
PATHS = SWAGGER_PATHS | {HELP_PAGE}

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


for path in SWAGGER_PATHS:
    page.route(path)(DocsPage)


@page.route(HELP_PAGE)
class ErrorsPage(MethodView):
    """The page about errors, to which each error links."""

    @page.query(NoQuery)
    @page.request_headers("if_none_match_read")
    def get(self, query: dict[str, Any]) -> Response:
        """Send the page."""
        response = Response(_errors_html(), content_type="text/html; charset=utf-8")
        response.headers.update(HEADERS)
        response.add_etag()
        response.make_conditional(request)
        return response


_ERRORS = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Errors of factstore</title>
</head>
<body>
<h1>Errors of factstore</h1>
<p>The detail of an error states what is wrong with the request. This page states what to do about
each code. A code is never reused with another meaning.</p>
{errors}
</body>
</html>
"""
_ERROR = """\
<h2 id="{code}"><code>{prefix}{code}</code></h2>
<p>{status}: {title}. {remedy}</p>"""


@cache
def _errors_html() -> str:
    return _ERRORS.format(
        errors="\n".join(
            _ERROR.format(
                code=code,
                prefix=PREFIX,
                status=status,
                title=escape(title),
                remedy=re.sub(r"``(.+?)``", r"<code>\1</code>", escape(REMEDIES[code])),
            )
            for code, (status, title) in STATUS.items()
        )
    )


def _swagger_ui() -> Path | None:
    """Return the directory of Swagger UI's files, or None if the package is not installed."""
    spec = find_spec(PACKAGE)  # does not import the package
    return Path(spec.origin).with_name("dist") if spec and spec.origin else None
