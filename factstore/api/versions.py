"""Version discovery and the OpenAPI document, which need no credentials."""

from __future__ import annotations

from typing import Any

from flask import Response, current_app, request
from flask.views import MethodView

from factstore.api import microversion
from factstore.api.blueprint import Blueprint
from factstore.api.responses import json_response, root_url
from factstore.api.schemas import versions as schemas
from factstore.api.schemas.base import NoQuery

DOCUMENT = "factstore.openapi"
"""The application's extension that returns the OpenAPI document as text, by mount point."""
PATHS = frozenset(["/", "/v1", "/v1/", "/v1/openapi.json"])

blueprint = Blueprint("versions", __name__, description="Versions of the API.", public=True)


def document() -> dict[str, Any]:
    """Return the list of versions, which is the same at every root."""
    return {
        "versions": [
            {
                "id": "v1.0",
                "status": "CURRENT",
                "min_version": microversion.version_text(microversion.MINIMUM),
                "max_version": microversion.version_text(microversion.MAXIMUM),
                "links": [{"rel": "self", "href": f"{root_url()}v1/"}],
            }
        ]
    }


@blueprint.route("/")
class Root(MethodView):
    """The service's root."""

    @blueprint.query(NoQuery)
    @blueprint.response(200, schemas.Versions)
    def get(self, query: dict[str, Any]) -> dict[str, Any]:
        """List the versions of the API."""
        return document()


@blueprint.route("/v1")
@blueprint.route("/v1/")
class V1(MethodView):
    """The root of version 1."""

    @blueprint.query(NoQuery)
    @blueprint.response(200, schemas.Versions)
    def get(self, query: dict[str, Any]) -> dict[str, Any]:
        """List the versions of the API, at the root of version 1."""
        return document()


@blueprint.route("/v1/openapi.json")
class Document(MethodView):
    """The OpenAPI document."""

    @blueprint.query(NoQuery)
    @blueprint.response(200, {"type": "object"}, description="This document, as OpenAPI 3.1")
    def get(self, query: dict[str, Any]) -> Response:
        """Read this document."""
        return json_response(current_app.extensions[DOCUMENT](request.script_root))
