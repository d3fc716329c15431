"""``factstore.wsgi.api:application``, for any WSGI server.

The runtime is created by the first request, or when the server calls :func:`start`.  Either is after
forking, which neither threads nor gRPC channels survive.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable, Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from oslo_config import cfg

from factstore.wsgi import configuration, runtime, runtime_registry
from factstore.wsgi.clock import SystemClock
from factstore.wsgi.concurrency import blocking, slots_of
from factstore.wsgi.imports import import_while_reading
from factstore.wsgi.ops import logs

LOG = logging.getLogger(__name__)

READY_SECONDS = 5.0

_lock = threading.Lock()
_pipeline: WSGIApplication | None = None


def start(slots: Callable[[cfg.ConfigOpts], int]) -> WSGIApplication:
    """Return the pipeline; the first call reads the configuration and starts the runtime.

    :param slots: returns the number of requests that this process serves at once.
    """
    global _pipeline
    with _lock:
        if _pipeline is None:
            conf = configuration.read(register_more=logs.register)
            logs.set_up(conf)
            built = runtime.build(
                conf, SystemClock(), blocking=blocking(slots(conf)), history_later=True
            )
            built.start()
            try:
                import_while_reading()
                from factstore.wsgi import deploy

                pipeline = deploy.pipeline(conf, built)
            except BaseException:
                built.stop()
                raise
            runtime_registry.set_runtime(built)
            atexit.register(built.stop)
            if built.catch_up(READY_SECONDS):
                LOG.info(
                    "factstore %s is ready; auth_strategy is %s, and the facts are in etcd at %s",
                    deploy.installed_version(),
                    conf.auth_strategy,
                    ", ".join(conf.etcd.endpoints),
                )
            else:
                threading.Thread(target=_log_diagnosis, args=[conf], daemon=True).start()
            built.pump.fill_history()
            _pipeline = pipeline
        return _pipeline


def _log_diagnosis(conf: cfg.ConfigOpts) -> None:
    for url, reason in runtime.diagnose(conf).items():
        LOG.error("the store could not be read at the start; etcd at %s: %s", url, reason)


def drain() -> None:
    """End streams and waiting requests, because the server is about to stop."""
    running = runtime_registry.get_runtime()
    if running is not None:
        running.drain()


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer a request; this is the WSGI application."""
    pipeline = _pipeline or start(lambda conf: slots_of(environ, conf.api.threads))
    return pipeline(environ, start_response)
