"""Reads of a context on the fast path, which may wait for a change."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from factstore.api.context import context_headers, load_query, read_context, view_of
from factstore.api.identity import Authorizer, Identity
from factstore.api.responses import PIECE_CHARACTERS
from factstore.api.schemas.context import DEPLOYMENTS
from factstore.core.errors import Invalid, NotFound
from factstore.core.model.cursor import Cursor
from factstore.core.services.compiled_context import Context
from factstore.core.services.composition import Services
from factstore.core.services.context_delta import ContextDelta
from factstore.core.services.context_view import ContextView
from factstore.core.services.context_wait import ContextWait
from factstore.core.services.debounce import Debounce
from factstore.core.state.state import State
from factstore.policies import stacks as rules
from factstore.policies.members import HEARTBEAT
from factstore.wsgi.fast_path.call import Call
from factstore.wsgi.fast_path.http_request import split_query
from factstore.wsgi.fast_path.http_response import (
    JSON_LINE,
    Answer,
    Rendered,
    etag_lines,
    header_lines,
    refusal,
)

_ANY = {"since": "0123456789abcdef.1", "applied": "0123456789abcdef.1", "member": "c1"}
"""A valid value of each parameter that differs from member to member, or from request to request."""
_SELDOM = frozenset(("at", "format"))
"""Parameters of requests that only the view answers."""
_VARIABLE = re.compile(rf"(?<![^&])({'|'.join(_ANY)})=([^&%]+)")


class ContextReads:
    """The handler of reads of a context."""

    def __init__(self, services: Services, authorizer: Authorizer) -> None:
        self._services = services
        self._authorizer = authorizer

    def read(self, call: Call) -> Answer | Rendered | None:
        """Return the context or its changes, and wait for them, as the query asks."""
        headers, identity = call.request.headers, call.identity
        if headers.length or headers.json:
            return None
        query = _parse(call.request.query)
        if query is None or not self._may_read(identity, query):
            return None
        waits = bool(query["wait"] or query["settle"])
        known, generation = headers.known, headers.generation
        arguments = (self._services, identity.permissions, call.scope, query, known, generation)
        try:
            if waits:
                with self._services.rate_limiter.waiting(identity.project_id):
                    found = read_context(*arguments)
            else:
                found = read_context(*arguments)
        except Invalid:
            return None
        except NotFound as error:
            retry = [("Retry-After", "1")] if query["wait"] else []
            return refusal(error, call.request_id, retry, waited=waits)
        return self.answer(call, found, waited=waits)

    def compared_view(self, call: Call) -> ContextView | None:
        """Return the view of which the caller has a copy; None if it asks for more than that."""
        headers, identity = call.request.headers, call.identity
        if headers.length or headers.json or headers.generation is not None or not headers.known:
            return None
        query = _parse(call.request.query)
        if query is None or query["since"] or query["applied"] or query["wait"] or query["settle"]:
            return None
        if not self._may_read(identity, query):
            return None
        return view_of(identity.permissions, query)

    def awaited(self, call: Call) -> tuple[ContextWait, Callable[[], None] | None] | None:
        """Return the changes for which a read waits, and a function to call when the wait has ended.

        :return: None for another read, or a refused one; no function if the read does not wait.

        It records what the member has applied.
        """
        headers, identity = call.request.headers, call.identity
        if headers.length or headers.json or headers.conditional:
            return None
        query = _parse(call.request.query)
        if query is None or not query["since"] or query["consistency"] == "stale":
            return None
        member, applied = query["member"], query["applied"]
        if not self._may_read(identity, query) or not (member or headers.generation is None):
            return None
        settle = Debounce.of(query["settle"], query["max_settle"])
        try:
            waiting = self._services.context.waiting(
                call.scope,
                Cursor.parse(query["since"]),
                view_of(identity.permissions, query),
                query["wait"],
                settle,
            )
            seen = Cursor.parse(applied) if applied else None
        except Invalid:
            return None
        if seen is not None:
            identity.permissions.check_member(member)
        if (
            applied or headers.generation is not None
        ) and not self._services.applied_reports.add_at_once(
            call.scope, member, headers.generation, seen
        ):
            return None
        waits = query["wait"] or query["settle"]
        limiter = self._services.rate_limiter
        leave = limiter.begin_wait(identity.project_id) if waits else None
        return waiting, leave

    def read_awaited(
        self, state: State, waiting: ContextWait, waited: bool, call: Call
    ) -> Answer | Rendered | None:
        """Return the context or its changes after a wait."""
        try:
            found = self._services.context.answer(state, waiting)
        except NotFound as error:
            retry = [("Retry-After", "1")] if waited else []
            return refusal(error, call.request_id, retry, waited=waited)
        return self.answer(call, found, waited=waited)

    @staticmethod
    def answer(
        call: Call, found: Context | ContextDelta, *, waited: bool = False
    ) -> Answer | Rendered:
        """Return the answer with a context or its changes."""
        known = call.request.headers.known
        same = isinstance(found, Context) and (known is None or found.etag in known)
        kept: Rendered | None = found.memo.get((same, waited))
        if kept is not None:
            return kept
        lines = header_lines(context_headers(found))
        if isinstance(found, Context):
            lines = etag_lines(found.etag) + lines
        else:
            lines += "Cache-Control: no-store\r\n"
        if same:
            kept = Rendered(304, lines, None, waited=waited)
        else:
            lines = JSON_LINE + lines
            if sum(map(len, found.texts)) > PIECE_CHARACTERS:
                return Answer(200, lines, [*found.texts, "\n"], waited=waited)
            kept = Rendered(200, lines, "".join([*found.texts, "\n"]), waited=waited)
        found.memo[same, waited] = kept
        return kept

    def _may_read(self, identity: Identity, query: Mapping[str, Any]) -> bool:
        project_id, allows = identity.project_id, self._authorizer
        return allows(rules.CONTEXT, identity, project_id) and (
            not query["applied"] or allows(HEARTBEAT, identity, project_id)
        )


def _parse(query: str) -> Mapping[str, Any] | None:
    """Return a query as the schema loads it, or None if it has to be left to the view."""
    # What a member has applied differs from request to request.
    return _parse_variable(query) if "applied=" in query else _parse_repeated(query)


def _parse_variable(query: str) -> Mapping[str, Any] | None:
    values = _VARIABLE.findall(query)
    if not values:
        return _load(query)
    # The services check the values.
    loaded = _load(_VARIABLE.sub(lambda found: f"{found[1]}={_ANY[found[1]]}", query))
    return None if loaded is None else {**loaded, **dict(values)}


_parse_repeated = lru_cache(2048)(_parse_variable)


@lru_cache(1024)
def _load(query: str) -> dict[str, Any] | None:
    """Return a query as the schema loads it, or None if it has to be left to the view."""
    arguments = split_query(query)
    if arguments is None or not _SELDOM.isdisjoint(arguments):
        return None
    if arguments.get("include") in DEPLOYMENTS:
        return None
    return load_query(arguments)
