"""Views of configurations."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Response
from flask.views import MethodView

from factstore.api import conditional
from factstore.api.blocking_read import blocking_read
from factstore.api.blueprint import Blueprint
from factstore.api.identity import access
from factstore.api.openapi import CONDITIONAL_READ, JSON_BODY, WRITE
from factstore.api.responses import deleted, json_response, set_location, set_written
from factstore.api.schemas import configurations as schemas
from factstore.api.schemas.base import NoQuery
from factstore.api.serializers.configurations import configuration_text, configurations_texts
from factstore.api.services import services
from factstore.core.model.configuration import ConfigurationDefinition, result_path
from factstore.core.model.configuration_result import ConfigurationResult
from factstore.core.model.precondition import ABSENT
from factstore.policies import configurations as rules

blueprint = Blueprint(
    "configurations", __name__, description="Software that members deploy once, in order."
)


def _list(stack: str, member: str, query: dict[str, Any]) -> Response:
    caller = access()
    scope = caller.scope(rules.LIST, stack)
    read = partial(services().configurations.list, scope, member, permissions=caller.permissions)
    return blocking_read(scope, query, read, configurations_texts)


@blueprint.route("/v1/stacks/<stack>/configurations")
class ConfigurationList(MethodView):
    """All configurations of a stack."""

    @blueprint.query(schemas.ConfigurationQuery)
    @blueprint.request_headers("if_none_match_read")
    @blueprint.error_codes(*CONDITIONAL_READ)
    @blueprint.response(200, schemas.ConfigurationList, headers=("ETag",))
    @blueprint.not_modified("ETag")
    def get(self, query: dict[str, Any], stack: str) -> Response:
        """List the configurations of all members; with wait, wait until the list changes."""
        return _list(stack, "", query)


@blueprint.route("/v1/stacks/<stack>/configurations/<member>")
class MemberConfigurations(MethodView):
    """The configurations of a member."""

    @blueprint.query(schemas.ConfigurationQuery)
    @blueprint.request_headers("if_none_match_read")
    @blueprint.error_codes(*CONDITIONAL_READ)
    @blueprint.response(200, schemas.ConfigurationList, headers=("ETag",))
    @blueprint.not_modified("ETag")
    def get(self, query: dict[str, Any], stack: str, member: str) -> Response:
        """List the configurations of a member in order; with wait, wait until the list changes."""
        return _list(stack, member, query)


@blueprint.route("/v1/stacks/<stack>/configurations/<member>/<configuration>")
class ConfigurationItem(MethodView):
    """One configuration."""

    @blueprint.query(schemas.ConfigurationQuery)
    @blueprint.request_headers("if_none_match_read")
    @blueprint.error_codes(*CONDITIONAL_READ)
    @blueprint.response(200, schemas.Configuration, headers=("ETag",))
    @blueprint.not_modified("ETag")
    def get(self, query: dict[str, Any], stack: str, member: str, configuration: str) -> Response:
        """Show a configuration; with wait, wait until it has ended or it differs."""
        caller = access()
        scope = caller.scope(rules.GET, stack)
        read = partial(
            services().configurations.get,
            scope,
            f"{member}/{configuration}",
            permissions=caller.permissions,
        )
        return blocking_read(
            scope, query, read, lambda found: (configuration_text(found),), until_decided=True
        )

    @blueprint.query(NoQuery)
    @blueprint.arguments(schemas.ConfigurationBody)
    @blueprint.request_headers("if_none_match_write")
    @blueprint.error_codes(
        "path_invalid",
        "etag_invalid",
        "value_too_large",
        "path_is_folder",
        "path_below_fact",
        "configuration_circle",
        "precondition_failed",
        "quota_exceeded",
        *JSON_BODY,
        *WRITE,
    )
    @blueprint.response(
        200, schemas.Configuration, headers=("Factstore-Cursor", "Factstore-Unchanged")
    )
    @blueprint.alt_response(
        201, schema=schemas.Configuration, description="Created", headers=("Factstore-Cursor",)
    )
    def put(
        self,
        query: dict[str, Any],
        body: dict[str, Any],
        stack: str,
        member: str,
        configuration: str,
    ) -> Response:
        """Create a configuration or change its definition; an equal definition changes nothing."""
        caller = access()
        scope = caller.scope(rules.PUT, stack)
        found, outcome, cursor = services().configurations.put(
            scope,
            f"{member}/{configuration}",
            ConfigurationDefinition.of(body),
            caller.author(),
            create_only=conditional.write_precondition() == ABSENT,
        )
        response = json_response(configuration_text(found))
        if outcome == "created":
            set_location(response, "stacks", stack, "configurations", member, configuration)
        return set_written(response, cursor, unchanged=outcome == "unchanged")

    @blueprint.query(NoQuery)
    @blueprint.error_codes("path_invalid", "not_found", *WRITE)
    @blueprint.response(204, headers=("Factstore-Cursor",))
    def delete(
        self, query: dict[str, Any], stack: str, member: str, configuration: str
    ) -> Response:
        """Delete a configuration and its result; nothing is undeployed."""
        caller = access()
        scope = caller.scope(rules.DELETE, stack)
        key = f"{member}/{configuration}"
        cursor = services().configurations.delete(scope, key, caller.author())
        return deleted(cursor)


@blueprint.route("/v1/stacks/<stack>/configurations/<member>/<configuration>/result")
class ConfigurationResultItem(MethodView):
    """The result of a configuration."""

    @blueprint.query(NoQuery)
    @blueprint.arguments(schemas.ResultBody)
    @blueprint.request_headers("generation")
    @blueprint.error_codes(
        "path_invalid",
        "not_found",
        "value_too_large",
        "path_is_folder",
        "path_below_fact",
        "generation_stale",
        "configuration_changed",
        "configuration_ended",
        *JSON_BODY,
        *WRITE,
    )
    @blueprint.response(
        200, schemas.Configuration, headers=("Factstore-Cursor", "Factstore-Unchanged")
    )
    def put(
        self,
        query: dict[str, Any],
        body: dict[str, Any],
        stack: str,
        member: str,
        configuration: str,
    ) -> Response:
        """Report the progress of a run, or its end; an equal report changes nothing."""
        caller = access()
        scope = caller.scope(rules.REPORT, stack)
        key = f"{member}/{configuration}"
        caller.permissions.check_write(result_path(key))
        generation = conditional.generation()
        found, changed, cursor = services().configurations.report(
            scope,
            key,
            ConfigurationResult.of(body),
            caller.author(),
            fences=() if generation is None else (generation,),
        )
        response = json_response(configuration_text(found))
        return set_written(response, cursor, unchanged=not changed)
