"""Writes on the fast path: a fact, a batch of facts, a member's heartbeat.

Each handler returns None, before anything is done, if the request has to be passed to gunicorn.
"""

from __future__ import annotations

import re
from typing import Any

from factstore.api.cause import parse_cause
from factstore.api.fact_body import fact_to_put, is_plain_put, plain_puts, plain_text
from factstore.api.identity import Authorizer
from factstore.api.serializers.batch import batch_text
from factstore.api.serializers.facts import revealed_fact_text
from factstore.core.errors import Invalid
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Author, Put
from factstore.core.model.member import GENERATION_PATTERN
from factstore.core.model.precondition import ANY
from factstore.core.model.value import parse_json
from factstore.core.services.composition import Services
from factstore.core.services.written_facts import WrittenFacts
from factstore.policies import facts as fact_rules
from factstore.policies import members as member_rules
from factstore.wsgi.fast_path.call import Call
from factstore.wsgi.fast_path.http_response import JSON_LINE, Answer, Rendered, etag_lines

_GENERATION = re.compile(GENERATION_PATTERN)
HEARTBEAT_ANSWER = Rendered(204, "", None)


class Writes:
    """The handlers of writes."""

    def __init__(self, services: Services, authorizer: Authorizer) -> None:
        self._services = services
        self._authorizer = authorizer

    def put_fact(self, call: Call) -> Answer | None:
        """Store a fact."""
        request = self.read_put(call)
        if request is None:
            return None
        put, fences = request
        written = self._services.facts.put(
            call.scope, put, self.author(call), ANY, None, fences=fences
        )
        return self.put_answer(call, written)

    def read_put(self, call: Call) -> tuple[Put, tuple[str, ...]] | None:
        """Return the fact to store, and the generations that must be alive; None for a view.

        :raises Forbidden: the caller's grant does not allow it.
        """
        request, identity = call.request, call.identity
        headers = request.headers
        if not (headers.json and request.names_valid and self._allows(fact_rules.PUT, call)):
            return None
        if (
            headers.forwarded
            and self._services.store.state().fact(call.scope, request.path) is None
        ):
            return None  # it depends on the proxy at which URL the client finds a new fact
        text = plain_text(request.body)
        if text is not None:
            put = Put(request.path, text)
        else:
            try:
                body = parse_json(request.body)
                if not is_plain_put(body):
                    return None
                put = fact_to_put(request.path, body)
            except Invalid:
                return None
        permissions, generation = identity.permissions, headers.generation
        if not permissions.unrestricted:
            permissions.check_write(request.path)
            if put.member is not None:
                permissions.check_member(put.member)
        return put, () if generation is None or put.generation is not None else (generation,)

    def put_answer(self, call: Call, written: WrittenFacts) -> Answer:
        """Return the answer to a put."""
        request, headers = call.request, call.request.headers
        result, epoch = written.results[0], written.epoch
        fact = result.fact
        assert fact is not None  # noqa: S101 - a put always leaves a fact
        status, more = 200, ""
        if result.outcome == "created":
            status = 201
            more = f"Location: {headers.scheme}://{headers.host}{request.target}\r\n"
        elif result.outcome == "unchanged":
            more = "Factstore-Unchanged: true\r\n"
        lines = (
            f"{JSON_LINE}{more}Factstore-Cursor: {epoch}.{written.revision}\r\n"
            f"{etag_lines(fact.etag(epoch))}"
        )
        # The text is not kept with the fact: few facts that are written are read from this worker.
        return Answer(status, lines, [f"{revealed_fact_text(fact, fact.text, epoch)}\n"])

    def batch(self, call: Call) -> Answer | None:
        """Store several facts."""
        found = self.read_batch(call)
        if found is None:
            return None
        puts, fences = found
        written = self._services.facts.batch(call.scope, puts, [], self.author(call), fences=fences)
        return self.batch_answer(call, written)

    def read_batch(self, call: Call) -> tuple[list[Put], tuple[str, ...]] | None:
        """Return the facts to store, and the generations that must be alive; None for a view.

        :raises Forbidden: the caller's grant does not allow it.
        """
        request, permissions = call.request, call.identity.permissions
        if not (request.headers.json and self._allows(fact_rules.BATCH, call)):
            return None
        puts = plain_puts(request.body)
        if puts is None:
            try:
                puts = _puts(parse_json(request.body))
            except Invalid:
                return None
            if puts is None:
                return None
        if not permissions.unrestricted:
            for put in puts:
                permissions.check_write(put.path)
                if put.member is not None:
                    permissions.check_member(put.member)
        generation = request.headers.generation
        return puts, () if generation is None else (generation,)

    def batch_answer(self, call: Call, written: WrittenFacts) -> Answer:
        """Return the answer to a batch."""
        lines = f"{JSON_LINE}Factstore-Cursor: {written.epoch}.{written.revision}\r\n"
        return Answer(200, lines, [batch_text(written), "\n"])

    def heartbeat(self, call: Call) -> Rendered | None:
        """Restart a member's time to live."""
        found = self.read_heartbeat(call)
        if found is None:
            return None
        generation, applied = found
        self._services.members.heartbeat(call.scope, call.request.member, generation, applied)
        return HEARTBEAT_ANSWER

    def read_heartbeat(self, call: Call) -> tuple[str | None, Cursor | None] | None:
        """Return the generation and the applied revision that a heartbeat states; None for a view.

        :raises Forbidden: the caller's grant is not for the member.
        """
        request = call.request
        if not self._allows(member_rules.HEARTBEAT, call):
            return None
        generation, applied = request.headers.generation, None
        if request.body:
            if not request.headers.json:
                return None
            try:
                body = parse_json(request.body)
                if not isinstance(body, dict) or body.keys() - {"generation", "applied"}:
                    return None
                if (own := body.get("generation")) is not None:
                    if not isinstance(own, str) or not _GENERATION.fullmatch(own):
                        return None
                    generation = own
                if (cursor := body.get("applied")) is not None:
                    if not isinstance(cursor, str):
                        return None
                    applied = Cursor.parse(cursor)
            except Invalid:
                return None
        call.identity.permissions.check_member(request.member)
        return generation, applied

    def _allows(self, rule: str, call: Call) -> bool:
        if call.request.headers.conditional:
            return False
        return self._authorizer(rule, call.identity, call.identity.project_id)

    def author(self, call: Call) -> Author:
        """Return the author of a change."""
        identity, cause = call.identity, call.request.headers.cause
        return Author(
            identity.user_id,
            call.request_id,
            self._authorizer(fact_rules.PUT_PARAMETER, identity, identity.project_id),
            identity.permissions.grant,
            cause=None if cause is None else parse_cause(cause),
        )


def _puts(body: Any) -> list[Put] | None:
    """Return the facts of a batch that only stores facts, or None for any other."""
    if not isinstance(body, dict) or body.keys() != {"operations"}:
        return None
    operations, puts = body["operations"], []
    if not isinstance(operations, list):
        return None
    for operation in operations:
        if not isinstance(operation, dict) or operation.keys() != {"put"}:
            return None
        fields = operation["put"]
        if not isinstance(fields, dict) or not isinstance(path := fields.pop("path", None), str):
            return None
        if len(fields) == 1 and "value" in fields:
            puts.append(Put.plain(path, fields["value"]))
        elif is_plain_put(fields):
            puts.append(fact_to_put(path, fields))
        else:
            return None
    return puts
