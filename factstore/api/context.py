"""Views of the context."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from flask import Response
from flask.views import MethodView

from factstore.api import conditional
from factstore.api.blueprint import Blueprint
from factstore.api.conditional import GENERATION
from factstore.api.deployments import deployments_text
from factstore.api.identity import access
from factstore.api.openapi import CONDITIONAL_READ
from factstore.api.responses import conditional_response, etag_of, missing, texts_response
from factstore.api.schemas import context as schemas
from factstore.api.services import services, waiting
from factstore.core.errors import Invalid, NotFound
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Scope
from factstore.core.model.permissions import Permissions
from factstore.core.model.value import encode
from factstore.core.services.compiled_context import Context
from factstore.core.services.composition import Services
from factstore.core.services.context_delta import ContextDelta
from factstore.core.services.context_view import ContextView
from factstore.core.services.debounce import Debounce
from factstore.policies import stacks as rules
from factstore.policies.facts import HISTORY
from factstore.policies.members import HEARTBEAT
from factstore.scrape_targets import FORMAT, target_group

blueprint = Blueprint("context", __name__, description="A stack as one document.")

HEADERS = ("ETag", "Factstore-Cursor", "Factstore-Checksum")
_QUERY = schemas.ContextQuery()
ERROR_CODES = (*CONDITIONAL_READ, "cursor_invalid", "cursor_expired", "generation_stale")


@blueprint.route("/v1/stacks/<stack>/context")
class ContextItem(MethodView):
    """All facts and members of a stack."""

    @blueprint.query(schemas.ContextQuery)
    @blueprint.request_headers("if_none_match_read", "generation")
    @blueprint.error_codes(*ERROR_CODES)
    @blueprint.response(200, schemas.CONTEXT_OR_DELTA, headers=HEADERS)
    @blueprint.not_modified(*HEADERS)
    def get(self, query: dict[str, Any], stack: str) -> Response:
        """Read the context, or with since its changes; with wait, wait for a change."""
        return _read(query, stack)

    @blueprint.query(schemas.ContextQuery)
    @blueprint.request_headers("if_none_match_read", "generation")
    @blueprint.error_codes(*ERROR_CODES)
    @blueprint.response(200, headers=HEADERS)
    @blueprint.not_modified(*HEADERS)
    def head(self, query: dict[str, Any], stack: str) -> Response:
        """Read the headers of the context or its changes; with wait, wait for a change."""
        return _read(query, stack)


def _read(query: dict[str, Any], stack: str) -> Response:
    scope = access().scope(rules.CONTEXT, stack)
    if query["at"]:
        access().check(HISTORY)
    if query["applied"]:
        access().check(HEARTBEAT)
    known, generation = conditional.known_tags(), conditional.generation()
    if query["format"] == FORMAT:
        return _targets(scope, known, stale=query["consistency"] == "stale")
    if query["include"] in schemas.DEPLOYMENTS:
        return _with_deployments(scope, query, known, generation)
    arguments = (services(), access().permissions, scope, query, known, generation)
    try:
        with waiting(scope.project_id, query["wait"] or query["settle"]):
            found = read_context(*arguments)
    except NotFound as error:
        return missing(error, query["wait"])
    texts = found.texts
    if isinstance(found, Context):
        response = conditional_response(lambda: texts, found.etag, known)
    else:
        response = texts_response(lambda: texts)
        response.headers["Cache-Control"] = "no-store"
    response.headers.extend(context_headers(found))
    return response


def _with_deployments(
    scope: Scope, query: Mapping[str, Any], known: frozenset[str] | None, generation: str | None
) -> Response:
    """Return the context of a member with its configurations, for os-collect-config."""
    permissions, stale = access().permissions, query["consistency"] == "stale"
    added = deployments_text(
        scope,
        query["member"],
        with_grant=query["include"] == "deployments_with_grant",
        stale=stale,
    )
    found = read_context(services(), permissions, scope, query, frozenset(), generation)
    texts = (*found.texts[:-1], found.texts[-1][:-1], f',"deployments":{added}}}')
    response = conditional_response(lambda: texts, etag_of(texts), known)
    response.headers.extend(context_headers(found))
    response.headers["Cache-Control"] = "no-store"
    return response


def _targets(scope: Scope, known: frozenset[str] | None, *, stale: bool) -> Response:
    """Return the members and nodes with an address as targets of Prometheus."""
    nodes = services().nodes.get(scope, stale=stale)
    groups = []
    for name in sorted(nodes.addresses):
        member = nodes.members.get(name)
        about = (member.group, member.state) if member is not None else (None, None)
        target = target_group(scope.stack, name, nodes.addresses[name], *about)
        if target is not None:
            groups.append(target)
    text = encode(groups)
    response = conditional_response(lambda: (text,), etag_of((text,)), known)
    response.headers["Factstore-Cursor"] = str(nodes.cursor)
    return response


def context_headers(found: Context | ContextDelta) -> list[tuple[str, str]]:
    """Return the headers of a response with a context or its changes."""
    return [("Factstore-Cursor", str(found.cursor)), ("Factstore-Checksum", found.checksum)]


def load_query(arguments: Mapping[str, str]) -> dict[str, Any] | None:
    """Return a query of a context as the view receives it, or None if it is not valid."""
    if _QUERY.validate(arguments):
        return None
    loaded: dict[str, Any] = _QUERY.load(arguments)
    return loaded


def read_context(
    found: Services,
    permissions: Permissions,
    scope: Scope,
    query: Mapping[str, Any],
    known: frozenset[str] | None,
    generation: str | None,
) -> Context | ContextDelta:
    """Return the context or its changes, and wait for them, as a query asks.

    :param found: the services.
    :param query: as :class:`~factstore.api.schemas.context.ContextQuery` loads it.
    :param known: the entity tags that the caller knows; None for any.
    :param generation: of the member that reads the context; None for the current one.
    :raises Invalid: ``cursor_invalid`` or ``header_invalid``.
    :raises CursorExpired: the context at an earlier cursor is not known any more.
    :raises NotFound: the stack or the member does not exist.
    :raises Conflict: ``generation_stale``.
    :raises Forbidden: the caller must not report what the member has applied.
    """
    contexts = found.context
    since = Cursor.parse(query["since"]) if query["since"] else None
    applied = Cursor.parse(query["applied"]) if query["applied"] else None
    if generation is not None and not query["member"]:
        raise Invalid(
            f"{GENERATION} is that of a member. Add member to the query.", code="header_invalid"
        )
    if since is not None and known != frozenset():
        raise Invalid(
            "If-None-Match cannot be combined with since. Leave one of them out.",
            code="header_invalid",
        )
    view = view_of(permissions, query)
    view.check()
    if query["at"]:
        return found.past.context(scope, Cursor.parse(query["at"]), view)
    if applied is not None:
        permissions.check_member(view.member)
    if applied is not None or generation is not None:
        found.members.report(scope, view.member, generation, applied)
    wait, stale = query["wait"], query["consistency"] == "stale"
    settle = Debounce.of(query["settle"], query["max_settle"])
    if since is not None:
        return contexts.since(scope, since, view, wait=wait, settle=settle, stale=stale)
    unless = _EveryTag() if known is None else known or None
    return contexts.get(scope, view, wait=wait, unless=unless, settle=settle, stale=stale)


def view_of(permissions: Permissions, query: Mapping[str, Any]) -> ContextView:
    """Return the view that a query asks for."""
    return _view(
        query["include"] == "results",
        query["member"],
        schemas.VIEWS[query["view"]],
        permissions,
        query["read_set"],
    )


_view = lru_cache(4096)(ContextView)
"""A view, which readers that ask for the same have in common."""


class _EveryTag(frozenset[str]):
    """The set of all tags, which ``If-None-Match: *`` names."""

    def __contains__(self, tag: object) -> bool:
        return True
