"""Keystone as the console needs it: passwords become tokens, which are checked and revoked.

The requests use the session of ``[keystone_authtoken]``, with its CA and its connection settings, but
never the service's own credentials.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from keystoneauth1 import access
from keystoneauth1 import exceptions as errors
from keystoneauth1.identity import v3

from factstore.console.sign_in import IdentityUnavailable, Password, SignInRefused, Token
from factstore.core.errors import Forbidden, Throttled
from factstore.wsgi.fast_path.callers import ValidTokens

LOG = logging.getLogger(__name__)

_TOKENS = "/auth/tokens"


class KeystoneIdentity:
    """See :class:`factstore.console.sign_in.IdentityService`.

    :param url: Keystone's URL, with or without its version.
    :param session: a keystoneauth session with a timeout.
    :param tokens: the tokens that this worker accepts without asking Keystone again.
    """

    def __init__(self, url: str, session: Any, tokens: ValidTokens) -> None:
        self._url = f"{url.rstrip('/').removesuffix('/v3').removesuffix('/v2.0')}/v3"
        self._session = session
        self._tokens = tokens

    def issue(self, password: Password) -> Token:
        """Return a new token for the user's project."""
        plugin = v3.Password(
            self._url,
            username=password.user,
            user_domain_name=password.user_domain,
            password=password.password,
            project_name=password.project,
            project_domain_name=password.project_domain,
            include_catalog=False,
        )
        with _translated("Keystone does not accept this user and password for this project."):
            return _token(plugin.get_access(self._session))

    def check(self, text: str) -> Token:
        """Return the token with this text."""
        with _translated(_NOT_VALID):
            answer = self._session.get(
                f"{self._url}{_TOKENS}?nocatalog",
                headers={"X-Auth-Token": text, "X-Subject-Token": text},
                authenticated=False,
                log=False,
            )
            return _token(access.create(body=answer.json(), auth_token=text))

    def revoke(self, text: str) -> None:
        """Revoke a token; nothing happens if it is not valid any more."""
        self._tokens.discard(text)
        try:
            with _translated(_NOT_VALID):
                self._session.delete(
                    f"{self._url}{_TOKENS}",
                    headers={"X-Auth-Token": text, "X-Subject-Token": text},
                    authenticated=False,
                    log=False,
                )
        except SignInRefused:
            pass


_NOT_VALID = "Keystone does not accept the token: it has expired or was revoked. Use another one."


def _token(found: Any) -> Token:
    if not found.project_id:
        raise Forbidden(
            "The token is not scoped to a project. Facts belong to a project; use a token for one.",
            code="project_required",
        )
    expires: datetime = found.expires
    if expires.tzinfo is None:
        expires = expires.replace(tzinfo=UTC)
    return Token(found.auth_token, found.username, found.project_name, expires)


@contextmanager
def _translated(refusal: str) -> Iterator[None]:
    """Raise the errors of the console for those of Keystone."""
    try:
        yield
    except errors.TooManyRequests as error:
        raise Throttled(
            "Keystone refuses more sign-ins at the moment. Try again later.", retry_after=10
        ) from error
    except (errors.Unauthorized, errors.BadRequest, errors.Forbidden, errors.NotFound) as error:
        # Keystone gives no other reason, and a stranger is not to learn which of the names exists.
        raise SignInRefused(refusal) from error
    except (errors.ClientException, ValueError, KeyError) as error:
        LOG.error("Keystone did not answer a request of the console: %s", type(error).__name__)
        raise IdentityUnavailable(
            "The identity service did not answer, so nobody can sign in. Try again.", retry_after=2
        ) from error
