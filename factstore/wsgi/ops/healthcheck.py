"""What oslo.middleware's healthcheck asks of us: may requests come here, and is this process alive?"""

from __future__ import annotations

from typing import Any

from oslo_middleware.healthcheck import pluginbase

from factstore.core.errors import FactstoreError
from factstore.wsgi import runtime_registry

SECONDS = 2.0


class EtcdHealthcheck(pluginbase.HealthcheckBaseExtension):
    """Readiness: the state is read, etcd answers a linearizable question, and nobody is sent away."""

    def healthcheck(self, server_port: int) -> Any:
        """Ask."""
        node = runtime_registry.node()
        if node is None:
            return _result(False, "not started")
        if node.draining:
            return _result(False, "the service is stopping")
        try:
            node.store.refresh(node.clock.monotonic() + SECONDS)
        except FactstoreError as error:
            return _result(False, error.detail)
        return _result(True, "etcd answers")


class LiveHealthcheck(pluginbase.HealthcheckBaseExtension):
    """Liveness: every part of the machinery runs, whatever etcd does.

    A process without one of them does not mend itself; one without etcd does, when that is back.
    """

    def healthcheck(self, server_port: int) -> Any:
        """Look; nobody is asked."""
        node = runtime_registry.node()
        if node is None:
            return _result(False, "not started")
        ended = node.ended
        if ended:
            return _result(False, f"ended: {', '.join(ended)}")
        return _result(True, "alive")


def _result(available: bool, reason: str) -> Any:
    return pluginbase.HealthcheckResult(available=available, reason=reason)
