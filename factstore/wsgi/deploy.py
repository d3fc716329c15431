"""The pipeline in front of the application, outermost first.

Proxy headers, if they are to be believed · request id · healthchecks and /metrics · counting · CORS, if
anybody is allowed · the gates that identify callers · the throttle · the Flask application.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from oslo_config import cfg
from oslo_middleware import cors, healthcheck, http_proxy_to_wsgi
from oslo_middleware.healthcheck import opts as health_opts

from factstore.api.app import create_app
from factstore.api.identity import Access
from factstore.api.services import Services
from factstore.conf import cors as cors_defaults
from factstore.wsgi.auth.grants import GrantGate
from factstore.wsgi.auth.keystone import KeystoneGate, LoopbackOnly, OpenGate, Wsgi
from factstore.wsgi.middleware.metrics import Exposition, Measured
from factstore.wsgi.middleware.request_id import RequestId
from factstore.wsgi.middleware.throttle import Throttle
from factstore.wsgi.ops.policy import PolicyAuthorizer
from factstore.wsgi.runtime import Node

READY = "/healthcheck"
LIVE = "/healthcheck/live"
METRICS = "/metrics"


def pipeline(conf: cfg.ConfigOpts, node: Node) -> Wsgi:
    """The whole WSGI application over a node."""
    app: Any = create_app(
        Services(
            access=Access(PolicyAuthorizer(conf, node.clock)),
            facts=node.facts,
            stacks=node.stacks,
            members=node.members,
            waiters=node.waiters,
            grants=node.grants,
            convergences=node.convergences,
            contexts=node.contexts,
            watching=node.watching,
            quotas=node.quotas,
            allowances=node.allowances,
            admission=node.admission,
            clock=node.clock,
            cut_idle=_idle_cutter(conf.api.idle_write_seconds),
        ),
        tokens=conf.auth_strategy == "keystone",
    )
    app = Throttle(app, node.admission, time.sleep)
    if conf.auth_strategy == "keystone":
        app = GrantGate(app, KeystoneGate(app, conf), node.grants)
    else:
        app = LoopbackOnly(GrantGate(app, OpenGate(app), node.grants))
    cors_defaults.set_defaults()
    conf.register_opts(cors.CORS_OPTS, "cors")
    if conf.cors.allowed_origin:
        app = cors.CORS(app, conf)
    app = Measured(app, node.metrics)
    mounts = _healthchecks(app, conf)
    mounts[METRICS] = Exposition(node.metrics, node.counts)
    app = _Mounted(mounts, app)
    app = RequestId(app, access_log=conf.api.access_log)
    conf.register_opts(http_proxy_to_wsgi.OPTS, "oslo_middleware")
    if conf.oslo_middleware.enable_proxy_headers_parsing:
        app = http_proxy_to_wsgi.HTTPProxyToWSGI(app, conf)
    return app  # type: ignore[no-any-return]


def _healthchecks(app: Wsgi, conf: cfg.ConfigOpts) -> dict[str, Wsgi]:
    """Readiness, which the operator's own back ends may deny too, and liveness."""
    conf.register_opts(health_opts.HEALTHCHECK_OPTS, "healthcheck")
    conf.register_opts(health_opts.DISABLE_BY_FILE_OPTS, "healthcheck")
    ready = ["factstore_etcd", *conf.healthcheck.backends]
    if conf.healthcheck.disable_by_file_path and "disable_by_file" not in ready:
        ready.append("disable_by_file")
    return {
        READY: healthcheck.Healthcheck(app, _asking(ready, conf)),
        LIVE: healthcheck.Healthcheck(app, _asking(["factstore_live"], conf)),
    }


def _asking(backends: list[str], conf: cfg.ConfigOpts) -> cfg.ConfigOpts:
    """The operator's configuration with other back ends: one section is for two healthchecks."""
    own = cfg.ConfigOpts()
    own([], default_config_files=conf.config_file, default_config_dirs=conf.config_dir)
    own.register_opts(health_opts.HEALTHCHECK_OPTS, "healthcheck")
    own.set_override("backends", backends, "healthcheck")
    return own


class _Mounted:
    """Paths that other applications answer."""

    def __init__(self, mounts: dict[str, Wsgi], default: Wsgi) -> None:
        self._mounts = mounts
        self._default = default

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        # At a mount point, /contextualization without a slash is the service's root too.
        path = environ["PATH_INFO"] = environ.get("PATH_INFO") or "/"
        app = self._mounts.get(path, self._default)
        return app(environ, start_response)


def _idle_cutter(seconds: float) -> Callable[[dict[str, object]], None]:
    def cut_idle(environ: dict[str, object]) -> None:
        """Give writes to this connection a time limit, where the server shows its socket.

        A reader that went away without a word leaves a full buffer behind, in which a write would
        wait for ever.
        """
        connection: Any = environ.get("gunicorn.socket")
        if connection is not None:
            connection.settimeout(seconds)

    return cut_idle
