"""The console in front of and inside the application: its pages, its sessions and its cookie."""

from __future__ import annotations

from typing import Any
from wsgiref.types import WSGIApplication

from oslo_config import cfg

from factstore.api.blueprint import Blueprint
from factstore.console import pages, session
from factstore.console.session import SETTINGS, SessionSettings
from factstore.console.sign_in import Attempts
from factstore.core.ports import Clock
from factstore.wsgi.auth.console_cookie import ConsoleCookie
from factstore.wsgi.fast_path.callers import ValidTokens

KEYSTONE_SECONDS = 10.0
"""After which a request to Keystone is given up."""


def console_pages(conf: cfg.ConfigOpts) -> tuple[Blueprint, ...]:
    """Return the pages of the console, or none if it is switched off."""
    return (session.blueprint, pages.blueprint) if conf.console.enabled else ()


def set_up_sessions(
    app: Any,
    middleware: WSGIApplication,
    conf: cfg.ConfigOpts,
    clock: Clock,
    keystone: Any,
    tokens: ValidTokens | None,
) -> WSGIApplication:
    """Give the application what its sessions need, and return the middleware behind the cookie.

    :param middleware: authenticates requests.
    :param keystone: the middleware for tokens, or None without authentication.
    """
    if not conf.console.enabled:
        return middleware
    attempts, origins = Attempts(clock), tuple(conf.console.origins)
    if keystone is None or tokens is None:
        app.extensions[SETTINGS] = SessionSettings(attempts)
        return middleware
    # keystoneauth is slow to import, and a service without authentication does not need it.
    from factstore.wsgi.auth.console_identity import KeystoneIdentity

    url = conf.console.auth_url or keystone.auth_url
    if not url:
        raise cfg.ConfigFileValueError(
            "[console] auth_url is not set, and [keystone_authtoken] has no auth_url. Set one of them "
            "to the URL of Keystone, or switch the console off."
        )
    identity = KeystoneIdentity(url, _keystone_session(conf), tokens)
    app.extensions[SETTINGS] = SessionSettings(attempts, identity, origins)
    return ConsoleCookie(middleware, origins)


def _keystone_session(conf: cfg.ConfigOpts) -> Any:
    """Return a session with the settings of ``[keystone_authtoken]``, without credentials."""
    from keystoneauth1.session import Session

    own = conf.keystone_authtoken
    verify = False if own.insecure else own.cafile or True
    cert = (own.certfile, own.keyfile) if own.certfile and own.keyfile else own.certfile
    return Session(verify=verify, cert=cert, timeout=KEYSTONE_SECONDS)
