"""Views of facts."""

from __future__ import annotations

import json
from typing import Any

from flask import Response
from flask.views import MethodView
from werkzeug.exceptions import NotAcceptable

from factstore.api import conditional, paging
from factstore.api.blueprint import Blueprint
from factstore.api.fact_body import hint_for, parse_put
from factstore.api.identity import Access, access
from factstore.api.openapi import (
    BOUND,
    CONDITIONAL_READ,
    FACT_WRITE,
    JSON_BODY,
    PAGED,
    SENSITIVE,
    VALUE,
)
from factstore.api.responses import (
    deleted,
    json_response,
    missing,
    page_response,
    set_etag,
    set_location,
    set_written,
)
from factstore.api.schemas import facts as schemas
from factstore.api.schemas.base import NoQuery
from factstore.api.serializers.facts import fact_text, revealed_fact_text
from factstore.api.services import services, waiting
from factstore.core.errors import NotFound
from factstore.core.model.fact import Author, Put, Scope
from factstore.core.services.facts import check_reader
from factstore.core.services.views import FactView
from factstore.core.services.written_facts import WrittenFacts
from factstore.policies import facts as rules

blueprint = Blueprint("facts", __name__, description="JSON values at paths.")

_READ = (*CONDITIONAL_READ, "seal_broken")


@blueprint.route("/v1/stacks/<stack>/facts")
class FactList(MethodView):
    """All facts of a stack."""

    @blueprint.query(schemas.FactsQuery)
    @blueprint.error_codes("not_found", *PAGED)
    @blueprint.response(200, schemas.FactPage)
    def get(self, query: dict[str, Any], stack: str) -> Response:
        """List facts by path, all pages at one revision."""
        scope = access().scope(rules.LIST, stack)
        page = services().facts.list(
            scope,
            prefix=query["prefix"],
            limit=query["limit"],
            marker=query["marker"],
            at=paging.cursor(query),
            permissions=access().permissions,
        )
        epoch = page.cursor.epoch
        return page_response("facts", page, lambda fact: fact_text(fact, epoch))


@blueprint.route("/v1/stacks/<stack>/facts/<fact_path:path>")
class FactItem(MethodView):
    """One fact."""

    @blueprint.query(schemas.FactQuery)
    @blueprint.request_headers("if_none_match_read")
    @blueprint.error_codes(*_READ)
    @blueprint.response(200, schemas.Fact, headers=("ETag",))
    @blueprint.alt_response(200, schema={"type": "string"}, content_type="text/plain")
    @blueprint.not_modified("ETag")
    def get(self, query: dict[str, Any], stack: str, path: str) -> Response:
        """Read a fact; with wait, wait until it exists or differs from the known one."""
        return _read(query, stack, path)

    @blueprint.query(schemas.FactQuery)
    @blueprint.request_headers("if_none_match_read")
    @blueprint.error_codes(*_READ)
    @blueprint.response(200, headers=("ETag",))
    @blueprint.not_modified("ETag")
    def head(self, query: dict[str, Any], stack: str, path: str) -> Response:
        """Read a fact's headers; with wait, wait until it exists or differs from the known one."""
        return _read(query, stack, path)

    @blueprint.query(NoQuery)
    @blueprint.doc(
        requestBody={
            "required": False,
            "content": {
                "application/json": {
                    "schema": schemas.FactBody,
                    "example": schemas.FactBody.example,
                },
                "text/plain": {"schema": {"type": "string"}, "example": "10.0.0.5"},
                "application/x-www-form-urlencoded": {
                    "schema": {"type": "string"},
                    "example": "10.0.0.5",
                },
            },
        }
    )
    @blueprint.request_headers(
        "if_match", "if_none_match_write", "idempotency_key", "generation", "cause"
    )
    @blueprint.error_codes(
        "path_invalid",
        "etag_invalid",
        "text_invalid",
        "path_is_folder",
        "path_below_fact",
        "precondition_failed",
        *JSON_BODY,
        *VALUE,
        *SENSITIVE,
        *BOUND,
        *FACT_WRITE,
    )
    @blueprint.response(
        200,
        schemas.Fact,
        headers=(
            "ETag",
            "Factstore-Cursor",
            "Factstore-Hint",
            "Factstore-Unchanged",
        ),
    )
    @blueprint.alt_response(
        201,
        schema=schemas.Fact,
        description="Created",
        headers=(
            "ETag",
            "Factstore-Cursor",
            "Factstore-Hint",
        ),
    )
    def put(self, query: dict[str, Any], stack: str, path: str) -> Response:
        """Store a fact: a JSON body, or plain text, which is stored as a JSON string."""
        caller = access()
        scope = caller.scope(rules.PUT, stack)
        caller.permissions.check_write(path)
        precondition = conditional.write_precondition()
        put = parse_put(path)
        if put.member is not None:
            caller.permissions.check_member(put.member)
        author = caller.author(reads=put.sensitive)
        written = services().facts.put(
            scope,
            put,
            author,
            precondition,
            conditional.idempotency(caller.identity()),
            fences=conditional.fences() if put.generation is None else (),
        )
        return _put_response(written, stack, put, author)

    @blueprint.query(schemas.FactDeleteQuery)
    @blueprint.request_headers("if_match", "idempotency_key", "generation")
    @blueprint.error_codes(
        "path_invalid", "etag_invalid", "not_found", "precondition_failed", *FACT_WRITE
    )
    @blueprint.response(204, headers=("Factstore-Cursor",))
    @blueprint.alt_response(
        200,
        schema=schemas.DeletedFolder,
        description="Deleted, with recursive=true",
        headers=("Factstore-Cursor",),
    )
    def delete(self, query: dict[str, Any], stack: str, path: str) -> Response:
        """Delete a fact; with recursive, delete all facts at and below a path."""
        caller = access()
        scope = caller.scope(rules.DELETE, stack)
        if query["recursive"]:
            return _delete_folder(caller, scope, path)
        caller.permissions.check_write(path)
        written = services().facts.delete(
            scope,
            path,
            caller.author(),
            conditional.write_precondition(),
            conditional.idempotency(caller.identity()),
            fences=conditional.fences(),
        )
        return deleted(written.cursor)


def _delete_folder(caller: Access, scope: Scope, path: str) -> Response:
    # Several revisions can have neither a precondition nor a receipt.
    conditional.check_guards({conditional.GENERATION})
    done = services().folders.delete(
        scope,
        path,
        caller.author(),
        itself=caller.permissions.check_write_below(path),
        fences=conditional.fences(),
    )
    cursor = str(done.cursor)
    body = {"deleted": done.deleted, "revisions": done.revisions, "cursor": cursor}
    response = json_response(json.dumps(body))
    return set_written(response, done.cursor)


def _read(query: dict[str, Any], stack: str, path: str) -> Response:
    scope = access().scope(rules.GET, stack)
    access().permissions.check_read(path)
    facts = services().facts
    known = conditional.known_tags()

    def is_known(found: FactView) -> bool:
        return known is None or found.etag in known

    try:
        with waiting(scope.project_id, query["wait"]):
            found = facts.get(
                scope,
                path,
                wait=query["wait"],
                unless=None if known == frozenset() else is_known,
                stale=query["consistency"] == "stale",
                permissions=access().permissions,
                reader=access().waiting_reader(),
            )
    except NotFound as error:
        return missing(error, query["wait"])
    if not found.fact.sensitive:
        if is_known(found):
            return set_etag(Response(status=304), found.etag)
        return _fact_response(query, found, found.fact.text, fact_text(*found))
    reader = access().reader()
    check_reader(found.fact, reader)
    if is_known(found):
        return set_etag(Response(status=304), found.etag)
    found, value = facts.reveal(scope, path, reader)
    text = revealed_fact_text(found.fact, value, found.epoch)
    return _fact_response(query, found, value, text)


def _fact_response(query: dict[str, Any], found: FactView, value: str, text: str) -> Response:
    """Return a fact, as a JSON document or with ``format=raw`` as its bare value.

    :param value: the value as canonical JSON.
    :param text: the document.
    """
    response = _raw_response(value) if query["format"] == "raw" else json_response(text)
    if found.fact.sensitive:
        response.headers["Cache-Control"] = "no-store"
    return set_etag(response, found.etag)


def _put_response(written: WrittenFacts, stack: str, put: Put, author: Author) -> Response:
    result = written.results[0]
    fact = result.fact
    assert fact is not None  # noqa: S101 - a put always leaves a fact
    epoch = written.epoch
    reveals = fact.sensitive and author.reader.may_reveal(fact.path, fact.readers)
    text = revealed_fact_text(fact, put.text, epoch) if reveals else fact_text(fact, epoch)
    response = json_response(text)
    if (hint := hint_for(put)) is not None:
        response.headers["Factstore-Hint"] = hint
    if result.outcome == "created":
        set_location(response, "stacks", stack, "facts", result.path)
    set_written(response, written.cursor, unchanged=result.outcome == "unchanged")
    if fact.sensitive:
        response.headers["Cache-Control"] = "no-store"
    return set_etag(response, fact.etag(epoch))


def _raw_response(canonical: str) -> Response:
    """Return a scalar value as plain text, a string without quotes.

    :param canonical: canonical JSON.
    :raises NotAcceptable: the value is an object or a list.
    """
    value = json.loads(canonical)
    if isinstance(value, dict | list):
        raise NotAcceptable(
            "The value is an object or a list, and only scalars have a raw form. Leave out format=raw."
        )
    text = value if isinstance(value, str) else canonical
    response = Response(text, content_type="text/plain; charset=utf-8")
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
