"""The callers of requests on the fast path, as far as this worker knows them.

None of these waits or refuses: a caller that is not known here is authenticated by the middlewares.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from factstore.api.identity import Identity
from factstore.core.model.grant import Grant
from factstore.core.ports import Clock
from factstore.core.services.grants import GrantService
from factstore.wsgi.auth.grants import grant_identity, parse_authorization
from factstore.wsgi.fast_path.request_headers import Headers

TOKEN_SECONDS = 8.0
"""For which a token is accepted after it was validated.

The middleware for tokens accepts it for :data:`~factstore.wsgi.auth.keystone.CACHE_SECONDS`, and
together they are less than the minute after which a revoked token must not be accepted any more.
"""
TOKENS = 10_000


class Callers(Protocol):
    """Identifies callers."""

    def __call__(self, headers: Headers, *, local: bool) -> Identity | None:
        """Return the caller of a request, or None if it is not known here.

        :param local: True if the request comes from a loopback address.
        """


class LocalCallers:
    """Callers without authentication; all are the same, and on this machine."""

    def __init__(self, identity: Identity, grants: Callable[[Headers], Identity | None]) -> None:
        self._identity = identity
        self._grants = grants

    def __call__(self, headers: Headers, *, local: bool) -> Identity | None:
        """Return the caller of a request, or None if it is not known here."""
        if not (local and headers.local) or headers.forwarded:
            return None
        return self._identity if headers.authorization is None else self._grants(headers)


class TokenCallers:
    """Callers with a token that was validated a moment ago."""

    def __init__(self, tokens: ValidTokens, grants: Callable[[Headers], Identity | None]) -> None:
        self._tokens = tokens
        self._grants = grants

    def __call__(self, headers: Headers, *, local: bool) -> Identity | None:
        """Return the caller of a request, or None if it is not known here."""
        if headers.authorization is not None:
            return self._grants(headers)
        return self._tokens.get(headers.token) if headers.token else None


class ValidTokens:
    """Tokens that were validated a moment ago, with the identity of their user."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tokens: dict[str, tuple[Identity, float]] = {}

    def add(self, token: str, identity: Identity, seconds: float) -> None:
        """Remember a token for some seconds, which are at most :data:`TOKEN_SECONDS`."""
        if len(self._tokens) >= TOKENS:
            self._tokens.clear()
        until = self._clock.monotonic() + min(seconds, TOKEN_SECONDS)
        self._tokens[token] = identity, until

    def discard(self, token: str) -> None:
        """Forget a token, which is not valid any more."""
        self._tokens.pop(token, None)

    def get(self, token: str) -> Identity | None:
        """Return the identity of a token's user, or None if the token has to be validated."""
        found = self._tokens.get(token)
        if found is None:
            return None
        identity, until = found
        if self._clock.monotonic() < until:
            return identity
        del self._tokens[token]
        return None


class GrantHolders:
    """Holders of grants that this worker knows."""

    def __init__(self, grants: GrantService) -> None:
        self._grants = grants
        self._known: dict[str, tuple[Grant, Identity]] = {}

    def __call__(self, headers: Headers) -> Identity | None:
        """Return the holder of the grant in the headers, or None if it is not known here."""
        header = headers.authorization
        if headers.token is not None or header is None:
            return None
        known = self._known.get(header)
        if known is not None:
            grant, identity = known
            if self._grants.is_known(grant):
                return identity
            del self._known[header]
        credentials = parse_authorization(header)
        found = self._grants.authenticate_known(*credentials) if credentials else None
        if found is None:
            return None
        identity = grant_identity(self._grants, *found)
        if len(self._known) >= TOKENS:
            self._known.clear()
        self._known[header] = found[1], identity
        return identity
