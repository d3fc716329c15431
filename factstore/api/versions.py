"""Version discovery and the OpenAPI document, for everybody."""

from __future__ import annotations

from typing import Any

from flask import Response, current_app, request
from flask.views import MethodView

from factstore.api import answers, microversion, schemas
from factstore.api.blueprint import Blueprint

DOCUMENT = "factstore.openapi"
"""The application's extension that gives the OpenAPI document as text, by mount point."""

PATHS = frozenset(["/", "/v1", "/v1/", "/v1/openapi.json"])

blueprint = Blueprint(
    "versions", __name__, description="Which versions of the API there are.", public=True
)


def document() -> dict[str, Any]:
    """The same list at every place where a client may look for it."""
    return {
        "versions": [
            {
                "id": "v1.0",
                "status": "CURRENT",
                "min_version": microversion.shown(microversion.MINIMUM),
                "max_version": microversion.shown(microversion.MAXIMUM),
                "links": [{"rel": "self", "href": f"{request.root_url}v1/"}],
            }
        ]
    }


@blueprint.route("/")
class Root(MethodView):
    """The service's root."""

    @blueprint.query(schemas.NoQuery)
    @blueprint.response(200, answers.Versions)
    def get(self, query: dict[str, Any]) -> dict[str, Any]:
        """List the versions of the API."""
        return document()


@blueprint.route("/v1")
@blueprint.route("/v1/")
class V1(MethodView):
    """The root of version 1."""

    @blueprint.query(schemas.NoQuery)
    @blueprint.response(200, answers.Versions)
    def get(self, query: dict[str, Any]) -> dict[str, Any]:
        """List the versions of the API, at the root of this one."""
        return document()


@blueprint.route("/v1/openapi.json")
class Document(MethodView):
    """The API's own description."""

    @blueprint.query(schemas.NoQuery)
    @blueprint.response(200, {"type": "object"}, description="This document, as OpenAPI 3.1")
    def get(self, query: dict[str, Any]) -> Response:
        """Read this document."""
        text = current_app.extensions[DOCUMENT](request.script_root)
        return Response(text, content_type="application/json")
