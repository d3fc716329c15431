"""The WSGI pipeline in front of the application, outermost first.

Proxy headers, if enabled · request id · host · healthchecks and /metrics · request metrics · CORS, if
an origin is allowed · the console's cookie · authentication · throttle · the Flask application.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from oslo_config import cfg
from oslo_middleware import cors, healthcheck, http_proxy_to_wsgi
from oslo_middleware.healthcheck import opts as health_opts

from factstore import SERVICE_TYPE
from factstore.api import agent_files
from factstore.api.app import create_app
from factstore.api.event_stream import ContinueStream, Watcher
from factstore.api.identity import Authorizer
from factstore.api.vendordata import VendorDataSettings
from factstore.conf import cors as cors_defaults
from factstore.wsgi.auth.grants import GrantAuth
from factstore.wsgi.auth.none import ANYBODY, LoopbackOnly, NoAuth
from factstore.wsgi.console import console_pages, set_up_sessions
from factstore.wsgi.fast_path.callers import (
    Callers,
    GrantHolders,
    LocalCallers,
    TokenCallers,
    ValidTokens,
)
from factstore.wsgi.fast_path.fast_path import FastPath
from factstore.wsgi.middleware.host import HostCheck
from factstore.wsgi.middleware.metrics import MetricsEndpoint, MetricsMiddleware
from factstore.wsgi.middleware.request_id import RequestId
from factstore.wsgi.middleware.throttle import Throttle
from factstore.wsgi.ops.policy import PolicyAuthorizer
from factstore.wsgi.runtime import Runtime

READY = "/healthcheck"
LIVE = "/healthcheck/live"
METRICS = "/metrics"


def pipeline(conf: cfg.ConfigOpts, runtime: Runtime) -> WSGIApplication:
    """Return the whole WSGI application over a runtime."""
    services = runtime.services
    service_type = SERVICE_TYPE
    if conf.auth_strategy == "keystone":
        # keystonemiddleware is slow to import, and other services do not need it.
        from factstore.wsgi.auth import keystone

        keystone.register(conf)
        service_type = conf.keystone_authtoken.service_type
    authorizer = PolicyAuthorizer(conf, runtime.clock)
    flask = create_app(
        services,
        authorizer,
        tokens=conf.auth_strategy == "keystone",
        begin_stream=_begin_stream,
        agent_files=_agent_files(conf),
        vendor_data=_vendor_data(conf),
        service_type=service_type,
        pages=console_pages(conf),
    )
    running = services.transactor.running
    app: Any = Throttle(flask, services.rate_limiter, runtime.scheduler, running)
    if conf.auth_strategy == "keystone":
        tokens = ValidTokens(runtime.clock)
        callers: Callers = TokenCallers(tokens, GrantHolders(services.grants))
        by_token = keystone.KeystoneAuth(app, conf, tokens)
        app = GrantAuth(app, by_token, services.grants)
        app = set_up_sessions(flask, app, conf, runtime.clock, by_token, tokens)
    else:
        callers = LocalCallers(ANYBODY, GrantHolders(services.grants))
        app = LoopbackOnly(GrantAuth(app, NoAuth(app), services.grants))
        app = set_up_sessions(flask, app, conf, runtime.clock, None, None)
    cors_defaults.set_defaults()
    conf.register_opts(cors.CORS_OPTS, "cors")
    if conf.cors.allowed_origin:
        app = cors.CORS(app, conf)
    else:
        runtime.fast_path = _fast_path(conf, runtime, authorizer, callers)
    app = MetricsMiddleware(app, runtime.metrics)
    mounts = _healthchecks(app, conf)
    mounts[METRICS] = MetricsEndpoint(runtime.metrics, runtime.gauges)
    app = PathDispatcher(mounts, app)
    app = RequestId(HostCheck(app), access_log=conf.api.access_log)
    conf.register_opts(http_proxy_to_wsgi.OPTS, "oslo_middleware")
    if conf.oslo_middleware.enable_proxy_headers_parsing:
        app = http_proxy_to_wsgi.HTTPProxyToWSGI(app, conf)
    return app  # type: ignore[no-any-return]


def _fast_path(
    conf: cfg.ConfigOpts, runtime: Runtime, authorizer: Authorizer, callers: Callers
) -> FastPath | None:
    """Return the fast path for common requests, or None if it is switched off."""
    if not conf.api.fast_path or conf.api.access_log:
        return None
    return FastPath(
        runtime.store,
        runtime.hub,
        runtime.clock,
        runtime.services,
        authorizer,
        callers,
        runtime.scheduler,
        runtime.metrics,
        conf.etcd.timeout,
    )


def _healthchecks(app: WSGIApplication, conf: cfg.ConfigOpts) -> dict[str, WSGIApplication]:
    """Return the readiness check, to which operators can add backends, and the liveness check."""
    conf.register_opts(health_opts.HEALTHCHECK_OPTS, "healthcheck")
    conf.register_opts(health_opts.DISABLE_BY_FILE_OPTS, "healthcheck")
    ready = ["factstore_etcd", *conf.healthcheck.backends]
    if conf.healthcheck.disable_by_file_path and "disable_by_file" not in ready:
        ready.append("disable_by_file")
    return {
        READY: MountedHealthcheck(app, _with_backends(ready, conf)),
        LIVE: MountedHealthcheck(app, _with_backends(["factstore_live"], conf)),
    }


def _with_backends(backends: list[str], conf: cfg.ConfigOpts) -> cfg.ConfigOpts:
    """Return the configuration with other healthcheck backends."""
    # oslo.middleware reads one section, and there are two healthchecks.
    own = cfg.ConfigOpts()
    own([], default_config_files=conf.config_file, default_config_dirs=conf.config_dir)
    own.register_opts(health_opts.HEALTHCHECK_OPTS, "healthcheck")
    own.set_override("backends", backends, "healthcheck")
    return own


class MountedHealthcheck:
    """A healthcheck of oslo.middleware for the requests that it is given, whatever their path.

    Releases of oslo.middleware before 8 answer only requests whose whole path is ``/healthcheck``.  The
    prefix of a proxy is a part of that path.

    :param app: gets the requests to which the healthcheck does not respond, such as those from
        addresses that are not allowed.
    """

    _REQUEST = "factstore.healthcheck.request"

    def __init__(self, app: WSGIApplication, conf: cfg.ConfigOpts) -> None:
        self._app = app
        self._check = healthcheck.Healthcheck(self._pass_on, conf)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Respond to the request."""
        inner = {**environ, "SCRIPT_NAME": "", "PATH_INFO": READY, self._REQUEST: environ}
        return self._check(inner, start_response)  # type: ignore[no-any-return]

    def _pass_on(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._app(environ[self._REQUEST], start_response)


class PathDispatcher:
    """Passes requests for some exact paths to other applications."""

    def __init__(self, mounts: dict[str, WSGIApplication], default: WSGIApplication) -> None:
        self.mounts = mounts
        self._default = default

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on."""
        # At a mount point, /contextualization without a slash is the service's root too.
        path = environ["PATH_INFO"] = environ.get("PATH_INFO") or "/"
        app = self.mounts.get(path, self._default)
        return app(environ, start_response)


def installed_version() -> str:
    """Return the version of factstore."""
    try:
        return importlib.metadata.version("openstack-factstore")
    except importlib.metadata.PackageNotFoundError:  # run from a source tree
        return "unknown"


def _agent_files(conf: cfg.ConfigOpts) -> agent_files.AgentFiles:
    """Return the agent's files, that of this release kept for later ones."""
    directory = conf.api.agent_directory
    files = agent_files.AgentFiles(
        installed_version(),
        Path(directory) if directory else None,
        agent_files.OWN if conf.api.agent else None,
    )
    files.keep()
    return files


def _vendor_data(conf: cfg.ConfigOpts) -> VendorDataSettings:
    """Return the options of the vendor data.

    :raises ValueError: the file with the certificates cannot be read.
    """
    name = conf.vendordata.cacert
    try:
        cacert = Path(name).read_text() if name else None
    except OSError as error:
        raise ValueError(
            f"[vendordata] cacert = {name} cannot be read: {error.strerror}. Name a file with the CA "
            "in PEM that the user of the service can read."
        ) from error
    return VendorDataSettings(conf.vendordata.url.rstrip("/").removesuffix("/v1"), cacert)


def _begin_stream(environ: WSGIEnvironment, watcher: Watcher) -> ContinueStream | None:
    """Prepare the request's connection, if the server provides it, for a stream."""
    begin = getattr(environ.get("gunicorn.socket"), "begin_stream", None)
    return None if begin is None else begin(watcher)
