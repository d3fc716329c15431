"""The URLs of the console's files."""

from __future__ import annotations

from typing import Any

from flask import Response, request
from flask.views import MethodView

from factstore.api import conditional
from factstore.api.blueprint import Blueprint
from factstore.api.responses import set_etag
from factstore.api.schemas.base import NoQuery
from factstore.console.files import HEADERS, INDEX, ROOT, files
from factstore.core.errors import NotFound
from factstore.core.model.path import quoted

blueprint = Blueprint(
    "console", __name__, description="The console.", public=True, sends_files=True
)


@blueprint.route(ROOT)
class Entrance(MethodView):
    """The URL that people type."""

    @blueprint.query(NoQuery)
    def get(self, query: dict[str, Any]) -> Response:
        """Redirect to the page; its references are relative, so its URL must end with a slash."""
        # Relative as well, because a proxy can have removed a prefix of the path.
        return Response(status=308, headers={"Location": "console/", **HEADERS})


@blueprint.route(f"{ROOT}/<fact_path:name>")
class ConsoleFile(MethodView):
    """The page and its files."""

    @blueprint.query(NoQuery)
    @blueprint.request_headers("if_none_match_read")
    def get(self, query: dict[str, Any], name: str) -> Response:
        """Send a file."""
        file = files().get(name or INDEX)
        if file is None or name == INDEX:  # the page has one URL
            raise NotFound(f"The console has no file {quoted(request.path)}.")
        known = conditional.known_tags()
        if known is None or file.etag in known:
            response = Response(status=304)
        else:
            response = Response(file.content, content_type=file.media_type)
        response.headers.update(HEADERS)
        return set_etag(response, file.etag)
