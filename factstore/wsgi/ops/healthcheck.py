"""Plugins for oslo.middleware's healthcheck: readiness and liveness."""

from __future__ import annotations

from typing import Any

from oslo_middleware.healthcheck import pluginbase

from factstore.core.errors import FactstoreError
from factstore.wsgi import runtime_registry

TIMEOUT = 2.0  # seconds for etcd's answer


class EtcdHealthcheck(pluginbase.HealthcheckBaseExtension):
    """Readiness: the worker has read the store, etcd answers, and the worker is not stopping."""

    def healthcheck(self, server_port: int) -> Any:
        """Make a linearizable read."""
        runtime = runtime_registry.get_runtime()
        if runtime is None:
            return _result(False, "not started")
        if runtime.draining:
            return _result(False, "the service is stopping")
        try:
            runtime.store.refresh(runtime.clock.monotonic() + TIMEOUT)
        except FactstoreError as error:
            return _result(False, error.detail)
        return _result(True, "etcd answers")


class LiveHealthcheck(pluginbase.HealthcheckBaseExtension):
    """Liveness: all background threads run, whether or not etcd answers.

    A process that lost a thread needs a restart; one that lost etcd recovers when etcd does.
    """

    def healthcheck(self, server_port: int) -> Any:
        """Check the threads, without any request to etcd."""
        runtime = runtime_registry.get_runtime()
        if runtime is None:
            return _result(False, "not started")
        ended = runtime.ended_threads
        if ended:
            return _result(False, f"ended: {', '.join(ended)}")
        return _result(True, "alive")


def _result(available: bool, reason: str) -> Any:
    return pluginbase.HealthcheckResult(available=available, reason=reason)
