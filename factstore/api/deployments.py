"""Configurations for the tools of heat-agents: ``deployments`` in the context, and signals of results.

Stock images run os-collect-config, which fetches the metadata of their server, and heat-config-notify,
which sends the results of hooks to a URL in this metadata.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

from flask import Response, request
from flask.views import MethodView

from factstore.api.blueprint import Blueprint, read_json
from factstore.api.identity import Access, access
from factstore.api.openapi import JSON_BODY, WRITE
from factstore.api.responses import json_response, root_url, set_written
from factstore.api.schemas import configurations as schemas
from factstore.api.serializers.configurations import configuration_text
from factstore.api.services import services
from factstore.core.errors import Forbidden, Invalid, NotFound
from factstore.core.model.configuration import Configuration, result_path
from factstore.core.model.fact import Scope
from factstore.core.model.hook_signal import result_of_signal, secret_texts
from factstore.core.model.secret_readers import SecretReader
from factstore.core.model.value import encode
from factstore.policies import configurations as rules

blueprint = Blueprint("deployments", __name__, description="Results of the tools of heat-agents.")

_ERRORS = (
    "path_invalid",
    "not_found",
    "path_is_folder",
    "configuration_changed",
    "configuration_ended",
    "seal_broken",
    *JSON_BODY,
    *WRITE,
)
_SIGNAL = {"schema": schemas.HookSignal, "example": schemas.HookSignal.example}
_BODY = {"required": True, "content": {"application/json": _SIGNAL}}


@blueprint.route("/v1/stacks/<stack>/configurations/<member>/<configuration>/signal")
class ConfigurationSignal(MethodView):
    """Results in the form of heat-config-notify."""

    @blueprint.query(schemas.SignalQuery)
    @blueprint.doc(requestBody=_BODY)
    @blueprint.error_codes(*_ERRORS)
    @blueprint.response(
        200, schemas.Configuration, headers=("Factstore-Cursor", "Factstore-Unchanged")
    )
    def post(self, query: dict[str, Any], stack: str, member: str, configuration: str) -> Response:
        """Report the result of a hook of heat-agents; an equal report changes nothing."""
        return _signal(query, stack, f"{member}/{configuration}")

    @blueprint.query(schemas.SignalQuery)
    @blueprint.doc(requestBody=_BODY)
    @blueprint.error_codes(*_ERRORS)
    @blueprint.response(
        200, schemas.Configuration, headers=("Factstore-Cursor", "Factstore-Unchanged")
    )
    def put(self, query: dict[str, Any], stack: str, member: str, configuration: str) -> Response:
        """Report the result of a hook of heat-agents; the same as POST."""
        return _signal(query, stack, f"{member}/{configuration}")


def _signal(query: dict[str, Any], stack: str, key: str) -> Response:
    caller = access()
    scope = caller.scope(rules.REPORT, stack)
    caller.permissions.check_write(result_path(key))
    body = read_json(request)
    if not isinstance(body, dict):
        raise Invalid("A signal is a JSON object.", code="schema")
    known = services().configurations.get(scope, key).configuration
    result = result_of_signal(query["id"] or known.id, body, _secrets(scope, known))
    found, changed, cursor = services().configurations.report(scope, key, result, caller.author())
    response = json_response(configuration_text(found))
    return set_written(response, cursor, unchanged=not changed)


def _secrets(scope: Scope, configuration: Configuration) -> list[str]:
    """Return the texts of the inputs that are facts; the agent replaces them in its reports, too."""
    found = services().facts
    values = []
    for _, path in configuration.definition.input_facts:
        try:
            fact = found.get(scope, path).fact
            values.append(
                found.reveal(scope, path, _EVERYTHING)[1] if fact.sensitive else fact.text
            )
        except NotFound:
            continue
    return secret_texts(values)


_EVERYTHING = SecretReader(may_read_sensitive=True)
"""The service itself; what it reads here is only replaced."""


def deployments_text(scope: Scope, member: str, *, with_grant: bool, stale: bool) -> str:
    """Return the configurations of a member that were or can be run, as heat-agents expect them.

    The ones that undeploy are first, in reverse order.  A configuration with an input that the caller
    may not read is left out.

    :param with_grant: put the caller's grant into the URLs to signal.
    :raises Invalid: the caller has no grant, with *with_grant*.
    """
    caller = access()
    caller.check(rules.LIST)
    base = _base_url(with_grant=with_grant)
    views = services().configurations.list(
        scope, member, unless=lambda _: False, stale=stale, permissions=caller.permissions
    )
    ready = [each.configuration for each in views if each.state != "waiting"]
    undeploying = [each for each in ready if each.definition.undeploys]
    ordered = [*reversed(undeploying), *(each for each in ready if not each.definition.undeploys)]
    return encode([found for each in ordered for found in _deployment(scope, each, base, caller)])


def _deployment(
    scope: Scope, configuration: Configuration, base: str, caller: Access
) -> Iterator[dict[str, Any]]:
    definition = configuration.definition
    values = json.loads(definition.inputs)
    reader, found = caller.reader(), services().facts
    for name, path in definition.input_facts:
        try:
            fact = found.get(scope, path, permissions=caller.permissions).fact
            caller.permissions.check_read(path)
            text = found.reveal(scope, path, reader)[1] if fact.sensitive else fact.text
        except (NotFound, Forbidden):
            return
        values[name] = json.loads(text)
    names = (scope.stack, "configurations", configuration.member, configuration.name, "signal")
    url = f"{base}v1/stacks/{'/'.join(map(quote, names))}?{urlencode({'id': configuration.id})}"
    values |= {
        "deploy_server_id": configuration.member,
        "deploy_action": definition.action,
        "deploy_stack_id": scope.stack,
        "deploy_resource_name": configuration.name,
        "deploy_signal_transport": "CFN_SIGNAL",
        "deploy_signal_id": url,
        "deploy_signal_verb": "POST",
    }
    yield {
        "id": configuration.id,
        "name": configuration.name,
        "group": definition.group,
        "config": definition.config,
        "creation_time": configuration.fact.updated_at,
        "options": json.loads(definition.options),
        "inputs": [
            {
                "name": name,
                "type": "Json" if isinstance(value, dict | list) else "String",
                # Hooks set environment variables, which have to be strings.
                "value": value if isinstance(value, str | dict | list) else json.dumps(value),
            }
            for name, value in values.items()
        ],
        "outputs": [{"name": name, "type": "String"} for name in definition.outputs],
    }


def _base_url(*, with_grant: bool) -> str:
    """Return the URL of the service; with the caller's grant as user and password on request."""
    if not with_grant:
        return root_url()
    given = request.authorization
    if given is None or not access().permissions.grant:
        raise Invalid(
            "The parameter include=deployments_with_grant needs a grant. Send one, or use "
            "include=deployments.",
            code="query_invalid",
        )
    identifier, secret = given.username, given.password
    if given.type == "bearer":
        identifier, _, secret = (given.token or "").partition(".")
    scheme, _, rest = root_url().partition("://")
    return f"{scheme}://{quote(identifier or '')}:{quote(secret or '')}@{rest}"
