"""Facts: listing them, and one fact at its path."""

from __future__ import annotations

import json
from typing import Any

from flask import Response, request
from flask.views import MethodView
from werkzeug.exceptions import NotAcceptable, UnsupportedMediaType

from factstore.api import answers, bodies, conditional, errors, paging, schemas
from factstore.api.blueprint import Blueprint, check_encoding, read_body, read_json, refusal
from factstore.api.identity import access
from factstore.api.openapi import (
    BOUND,
    FACT_WRITING,
    JSON_BODY,
    PAGED,
    SEALED,
    VALUE,
    sent,
)
from factstore.api.serializers import clear_text, fact_text
from factstore.api.services import services, waiting
from factstore.core.errors import Invalid, NotFound
from factstore.core.model.fact import Author, Fact, Put
from factstore.core.model.value import encode
from factstore.core.operations.facts import Written
from factstore.core.services.facts import check_reader
from factstore.policies import facts as rules

blueprint = Blueprint("facts", __name__, description="JSON values at paths.")

RAW_TYPES = ("", "text/plain", "application/x-www-form-urlencoded")
_BODY = bodies.FactBody()
_READING = ("path_invalid", "etag_invalid", "not_found", "too_many_waiting", "seal_broken")


@blueprint.route("/v1/stacks/<stack>/facts")
class FactList(MethodView):
    """All facts of a stack."""

    @blueprint.query(schemas.FactsQuery)
    @blueprint.refusals("not_found", *PAGED)
    @blueprint.response(200, answers.FactPage)
    def get(self, query: dict[str, Any], stack: str) -> Response:
        """List facts by path, all pages at one revision."""
        scope = access().scope(rules.LIST, stack)
        page = services().facts.list(
            scope,
            prefix=query["prefix"],
            limit=query["limit"],
            marker=query["marker"],
            at=paging.at(query),
            reach=access().reach,
        )
        facts = ",".join(fact_text(fact, page.cursor.epoch) for fact in page.facts)
        links = encode(paging.links(page.cursor, page.marker))
        text = f'{{"facts":[{facts}],"cursor":"{page.cursor}","links":{links}}}'
        return Response(text, content_type="application/json")


@blueprint.route("/v1/stacks/<stack>/facts/<anything:path>")
class FactItem(MethodView):
    """One fact."""

    @blueprint.query(schemas.FactQuery)
    @blueprint.takes("if_none_match_read")
    @blueprint.refusals(*_READING)
    @blueprint.response(200, answers.Fact, headers=sent("ETag"))
    @blueprint.alt_response(200, schema={"type": "string"}, content_type="text/plain")
    @blueprint.alt_response(304, description="Not changed, or not in time", headers=sent("ETag"))
    def get(self, query: dict[str, Any], stack: str, path: str) -> Response:
        """Read a fact; with wait, as soon as it exists or differs from what is known."""
        return _read(query, stack, path)

    @blueprint.query(schemas.FactQuery)
    @blueprint.takes("if_none_match_read")
    @blueprint.refusals(*_READING)
    @blueprint.response(200, headers=sent("ETag"))
    @blueprint.alt_response(304, description="Not changed, or not in time", headers=sent("ETag"))
    def head(self, query: dict[str, Any], stack: str, path: str) -> Response:
        """As GET, without the body."""
        return _read(query, stack, path)

    @blueprint.query(schemas.NoQuery)
    @blueprint.doc(
        requestBody={
            "required": False,
            "content": {
                "application/json": {"schema": bodies.FactBody},
                "text/plain": {"schema": {"type": "string"}},
                "application/x-www-form-urlencoded": {"schema": {"type": "string"}},
            },
        }
    )
    @blueprint.takes("if_match", "if_none_match_write", "idempotency_key", "generation")
    @blueprint.refusals(
        "path_invalid",
        "etag_invalid",
        "text_invalid",
        "path_is_folder",
        "path_below_fact",
        "precondition_failed",
        *JSON_BODY,
        *VALUE,
        *SEALED,
        *BOUND,
        *FACT_WRITING,
    )
    @blueprint.response(
        200, answers.Fact, headers=sent("ETag", "Factstore-Cursor", "Factstore-Unchanged")
    )
    @blueprint.alt_response(
        201,
        schema=answers.Fact,
        description="Created",
        headers=sent("ETag", "Factstore-Cursor"),
    )
    def put(self, query: dict[str, Any], stack: str, path: str) -> Response:
        """Store a fact: a JSON body, or a bare text that becomes a JSON string."""
        caller = access()
        scope = caller.scope(rules.PUT, stack)
        caller.reach.check_write(path)
        precondition = conditional.write_precondition()
        wish = _wish(path)
        if wish.member is not None:
            caller.reach.check_member(wish.member)
        author = caller.author(reads=wish.sensitive)
        written = services().facts.put(
            scope,
            wish,
            author,
            precondition,
            conditional.idempotency(caller.identity()),
            fences=conditional.fences() if wish.generation is None else (),
        )
        return _answer(written, stack, wish, author)

    @blueprint.query(schemas.NoQuery)
    @blueprint.takes("if_match", "idempotency_key", "generation")
    @blueprint.refusals(
        "path_invalid", "etag_invalid", "not_found", "precondition_failed", *FACT_WRITING
    )
    @blueprint.response(204, headers=sent("Factstore-Cursor"))
    def delete(self, query: dict[str, Any], stack: str, path: str) -> Response:
        """Remove a fact."""
        caller = access()
        scope = caller.scope(rules.DELETE, stack)
        caller.reach.check_write(path)
        written = services().facts.delete(
            scope,
            path,
            caller.author(),
            conditional.write_precondition(),
            conditional.idempotency(caller.identity()),
            fences=conditional.fences(),
        )
        cursor = services().facts.cursor(written.revision)
        return Response(status=204, headers={"Factstore-Cursor": str(cursor)})


def _read(query: dict[str, Any], stack: str, path: str) -> Response:
    scope = access().scope(rules.GET, stack)
    access().reach.check_read(path)
    facts = services().facts
    known = conditional.known_tags()

    def is_known(fact: Fact) -> bool:
        return known is None or facts.etag(fact) in known

    try:
        with waiting(scope, query["wait"]):
            fact = facts.get(
                scope,
                path,
                wait=query["wait"],
                unless=None if known == frozenset() else is_known,
                stale=query["consistency"] == "stale",
            )
    except NotFound as error:
        headers = {"Retry-After": "1"} if query["wait"] else {}
        return errors.respond(error.code, error.detail, headers=headers)
    if fact.sensitive:
        reader = access().reader()
        check_reader(fact, reader)
        if not is_known(fact):
            fact, value = facts.reveal(scope, fact, reader)
            return _shown(query, fact, value, clear_text(fact, value, facts.cursor(0).epoch))
    if is_known(fact):
        return _tagged(Response(status=304), facts.etag(fact))
    return _shown(query, fact, fact.text, fact_text(fact, facts.cursor(0).epoch))


def _shown(query: dict[str, Any], fact: Fact, value: str, text: str) -> Response:
    """A fact in the wanted form.

    :param text: as a document.
    """
    raw = query["format"] == "raw"
    response = _raw(value) if raw else Response(text, content_type="application/json")
    response = _tagged(response, services().facts.etag(fact))
    if fact.sensitive:
        response.headers["Cache-Control"] = "no-store"
    return response


def _wish(path: str) -> Put:
    """What the body asks for; its media type tells how to read it."""
    unreadable = bool(request.content_type) and not request.mimetype
    if unreadable or request.mimetype not in RAW_TYPES:
        if request.mimetype != "application/json":
            raise UnsupportedMediaType(
                "send application/json, or a bare text as text/plain or without a type."
            )
        body = read_json(request)
        messages = _BODY.validate(body) if isinstance(body, dict) else ["Not a JSON object."]
        if messages:
            raise refusal(messages, "json")
        return Put.of(
            path,
            body["value"],
            body.get("kind", "observed"),
            body.get("ttl"),
            member=body.get("member"),
            generation=body.get("generation"),
            sensitive=body.get("sensitive", False),
            readers=body.get("readers", ()),
        )
    check_encoding(request)
    try:
        text = read_body(request).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Invalid(
            f"the text is not UTF-8 at byte {error.start}.", code="text_invalid"
        ) from None
    return Put.of(path, text)


def _answer(written: Written, stack: str, wish: Put, author: Author) -> Response:
    result = written.results[0]
    fact = result.fact
    assert fact is not None  # noqa: S101 - a put always leaves a fact
    facts = services().facts
    epoch = facts.cursor(0).epoch
    shows = fact.sensitive and author.reader.may_open(fact.path, fact.readers)
    text = clear_text(fact, wish.text, epoch) if shows else fact_text(fact, epoch)
    response = Response(text, content_type="application/json")
    if result.outcome == "created":
        response.status_code = 201
        response.headers["Location"] = f"{request.root_url}v1/stacks/{stack}/facts/{result.path}"
    elif result.outcome == "unchanged":
        response.headers["Factstore-Unchanged"] = "true"
    response.headers["Factstore-Cursor"] = str(facts.cursor(written.revision))
    if fact.sensitive:
        response.headers["Cache-Control"] = "no-store"
    return _tagged(response, facts.etag(fact))


def _tagged(response: Response, etag: str) -> Response:
    response.headers["ETag"] = f'"{etag}"'
    response.headers.setdefault("Cache-Control", "no-cache")
    return response


def _raw(canonical: str) -> Response:
    """A scalar as it would be typed.

    :param canonical: its JSON.
    :raises NotAcceptable: it is an object or a list.
    """
    value = json.loads(canonical)
    if isinstance(value, dict | list):
        raise NotAcceptable(
            "the value is an object or a list; only a scalar has a raw form. Ask without format=raw."
        )
    text = value if isinstance(value, str) else canonical
    response = Response(text, content_type="text/plain; charset=utf-8")
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
