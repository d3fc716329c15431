"""The agent as one file, which instances fetch at their first boot and which needs no credentials."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flask import Response, current_app
from flask.views import MethodView

from factstore.api import conditional
from factstore.api.agent_files import AgentFiles
from factstore.api.blueprint import Blueprint
from factstore.api.schemas import agent as schemas

FILES = "factstore.agent_files"
"""The application's extension with the :class:`AgentFiles`."""
PATH = "/v1/agent"
MEDIA_TYPE = "application/zip"

# A file that is named by its digest never changes. The current one changes with a release.
_FIXED = "public, max-age=31536000, immutable"
_CURRENT = "public, max-age=300"
_PIECE_BYTES = 64 * 1024

blueprint = Blueprint(
    "agent", __name__, description="The agent as one file.", public=True, sends_files=True
)


@blueprint.route(PATH)
class Agent(MethodView):
    """The agent's file."""

    @blueprint.query(schemas.AgentQuery)
    @blueprint.request_headers("if_none_match_read")
    @blueprint.error_codes("not_found", "etag_invalid")
    @blueprint.response(
        200,
        {"type": "string", "format": "binary"},
        content_type=MEDIA_TYPE,
        description="A zip archive that Python runs",
        headers=("ETag", "Factstore-Agent-Version", "Factstore-Agent-Sha256"),
    )
    @blueprint.not_modified("ETag", "Factstore-Agent-Version", "Factstore-Agent-Sha256")
    def get(self, query: dict[str, Any]) -> Response:
        """Download the agent: a single file for Python 3.9 and newer, with nothing to install."""
        files: AgentFiles = current_app.extensions[FILES]
        file = files.find(query["sha256"])
        known = conditional.known_tags()
        if known is None or file.sha256 in known:
            response = Response(status=304)
        else:
            response = Response(_pieces(file.path), mimetype=MEDIA_TYPE, direct_passthrough=True)
            response.content_length = file.size
            response.headers["Content-Disposition"] = "attachment; filename=factstore-agent.pyz"
        response.headers["ETag"] = f'"{file.sha256}"'
        response.headers["Cache-Control"] = _CURRENT if query["sha256"] is None else _FIXED
        response.headers["Factstore-Agent-Version"] = file.version
        response.headers["Factstore-Agent-Sha256"] = file.sha256
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def _pieces(path: Path) -> Iterator[bytes]:
    """Yield a file in pieces; a server sends one before it asks for the next."""
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            yield piece
