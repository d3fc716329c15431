"""Vendor data of Nova: a script that makes a server with certain properties a member.

Nova sends the request with a token of its own, and passes the response on to cloud-init.  Nova ignores
errors or fails the boot, depending on its configuration, and shows the user neither.  Therefore a
mistake in the properties of a server is reported on the server's console, and in the log.
"""

from __future__ import annotations

import logging
import shlex
from typing import Any

import marshmallow as ma
from flask import Response, current_app
from flask.views import MethodView

from factstore.api import agent
from factstore.api.agent_files import AgentFiles
from factstore.api.blueprint import Blueprint
from factstore.api.identity import access
from factstore.api.openapi import JSON_BODY, WRITE
from factstore.api.responses import json_response, root_url
from factstore.api.schemas import vendordata as schemas
from factstore.api.schemas.base import NoQuery
from factstore.api.services import services
from factstore.cloud_init import Download, first_boot
from factstore.core.errors import Forbidden, Invalid, NotFound, SealingUnavailable
from factstore.core.model.instance import InstanceRequest
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.value import encode
from factstore.policies import vendordata as rules

LOG = logging.getLogger(__name__)

SETTINGS = "factstore.vendordata"
"""The application's extension with the :class:`VendorDataSettings`."""


@quick_dataclass(frozen=True, slots=True)
class VendorDataSettings:
    """The options of the operator.

    :param url: the root URL of the service for servers; empty for that of the request.
    :param cacert: the certificates with which servers verify the service, in PEM.
    """

    url: str = ""
    cacert: str | None = None


blueprint = Blueprint("vendordata", __name__, description="Membership by properties of a server.")


@blueprint.route("/v1/vendordata")
class VendorData(MethodView):
    """The vendor data of a server."""

    @blueprint.query(NoQuery)
    @blueprint.arguments(schemas.VendorDataBody, unknown=ma.EXCLUDE)  # later Novas add fields
    @blueprint.error_codes("seal_broken", *JSON_BODY, *WRITE)
    @blueprint.response(
        200,
        {
            "oneOf": [
                {"type": "string", "description": "A script for cloud-init."},
                {"type": "object", "maxProperties": 0, "description": "Nothing to do."},
            ]
        },
    )
    def post(self, query: dict[str, Any], body: dict[str, Any]) -> Response:
        """Issue the grant of a server, and return the script that makes it a member."""
        caller = access()
        caller.check(rules.CREATE)
        project_id, instance_id = body["project_id"], body["instance_id"]
        try:
            wanted = InstanceRequest.of(instance_id, body["hostname"] or "", body["metadata"] or {})
            text = "{}" if wanted is None else encode(_script(project_id, wanted))
        except (Invalid, NotFound, Forbidden, SealingUnavailable) as error:
            LOG.warning(
                "server %s of project %s does not become a member: %s",
                *(instance_id, project_id, error.detail),
            )
            text = encode(_report(error.detail))
        response = json_response(text)
        response.headers["Cache-Control"] = "no-store"
        return response


def _script(project_id: str, wanted: InstanceRequest) -> str:
    """Return the script that makes a server a member.

    :raises FactstoreError: the server cannot become a member.
    """
    files: AgentFiles = current_app.extensions[agent.FILES]
    settings: VendorDataSettings = current_app.extensions[SETTINGS]
    root = settings.url or root_url().rstrip("/")
    download = None
    if files.offered:
        digest = files.find(None).sha256
        download = Download(f"{root}{agent.PATH}?sha256={digest}", digest)
    issued = services().grants.issue_to_instance(project_id, wanted, access().author())
    grant = issued.grant
    configuration: dict[str, dict[str, Any]] = {
        "agent": {
            "stack": wanted.stack,
            "member": grant.member,
            "group": grant.group,
            "instance_id": wanted.instance_id,
        },
        "service": {"url": root},
    }
    token = f"{grant.id}.{issued.secret}"
    return first_boot(configuration, token, download=download, cacert=settings.cacert).script()


def _report(reason: str) -> str:
    """Return a script that states on the server's console why the server is no member."""
    line = shlex.quote(f"factstore: this server does not become a member: {reason}")
    return f"#!/bin/sh\necho {line}\necho {line} 2>/dev/null >/dev/console || true\n"
