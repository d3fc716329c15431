"""The healthcheck's view of etcd."""

from __future__ import annotations

from typing import Any

from oslo_middleware.healthcheck import pluginbase

from factstore.core.errors import FactstoreError
from factstore.wsgi import running

SECONDS = 2.0


class EtcdHealthcheck(pluginbase.HealthcheckBaseExtension):
    """Healthy when the state is read and etcd answers a linearizable question."""

    def healthcheck(self, server_port: int) -> Any:
        """Ask."""
        node = running.node()
        if node is None:
            return self._result(False, "not started")
        try:
            node.store.refresh(node.clock.monotonic() + SECONDS)
        except FactstoreError as error:
            return self._result(False, error.detail)
        return self._result(True, "etcd answers")

    def _result(self, available: bool, reason: str) -> Any:
        return pluginbase.HealthcheckResult(available=available, reason=reason)
