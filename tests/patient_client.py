"""A client of an etcd that no test disturbs: it waits for each response, however busy the machine is.

Other clients give a write up after less than a second, because the member may be lost, and its outcome
is then unknown.
"""

from __future__ import annotations

from typing import Any

from factstore.store.client import EtcdClient

PATIENCE = 60.0


class PatientClient(EtcdClient):
    """A client that gives no try up before its deadline."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._patience.seconds = lambda usual: PATIENCE  # type: ignore[method-assign]
