"""One endpoint of the cluster: its channel and its calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc

from factstore.store.client import messages as rpc
from factstore.store.client.encoding import TXN
from factstore.store.client.leases import keep_alive, list_leases
from factstore.store.client.tls import Pem, UnusableFile, read_files
from factstore.store.types import CHANNEL_OPTIONS, Credentials


class Endpoint:
    """An endpoint: a channel and its stubs.

    :raises OSError: a file of TLS cannot be read.
    :raises UnusableFile: a file of TLS has other contents.
    """

    calls: dict[str, Callable[..., Any]]
    watch: Any

    def __init__(self, endpoint: str, credentials: Credentials) -> None:
        scheme, _, self._target = endpoint.partition("://")
        self._credentials = credentials if scheme == "https" else None
        self._pem: Pem | None = None
        if self._credentials is not None:
            self._pem = read_files(self._credentials)
        self._connect()

    def renew(self) -> bool:
        """Use the present files of TLS for later calls; return False if they are the same.

        gRPC keeps the contents that it was given, even if the certificate has expired since.
        """
        if self._credentials is None:
            return False
        try:
            pem = read_files(self._credentials)
        except (OSError, UnusableFile):  # they are being replaced
            return False
        if pem == self._pem:
            return False
        self._pem = pem
        self._connect()  # calls on the former channel may be running, and end by themselves
        return True

    def _connect(self) -> None:
        """Open a channel."""
        if self._pem is None:
            self.channel = grpc.insecure_channel(self._target, options=CHANNEL_OPTIONS)
        else:
            ca, key, cert = self._pem
            self.channel = grpc.secure_channel(
                self._target,
                grpc.ssl_channel_credentials(ca, key, cert),
                options=CHANNEL_OPTIONS,
            )
        kv, lease = rpc.KVStub(self.channel), rpc.LeaseStub(self.channel)
        self.calls = {
            "authenticate": rpc.AuthStub(self.channel).Authenticate,
            "range": kv.Range,
            "txn": self.channel.unary_unary(  # of messages that are encoded already
                TXN, response_deserializer=rpc.TxnResponse.FromString
            ),
            "compact": kv.Compact,
            "alarm": rpc.MaintenanceStub(self.channel).Alarm,
            "status": rpc.MaintenanceStub(self.channel).Status,
            "lease_grant": lease.LeaseGrant,
            "lease_keep_alive": keep_alive(self.channel),
            "lease_revoke": lease.LeaseRevoke,
            "lease_time_to_live": lease.LeaseTimeToLive,
            "lease_leases": list_leases(self.channel),
        }
        self.watch = rpc.WatchStub(self.channel)

    def is_alive(self, seconds: float) -> bool:
        """Return False if the member does not even answer what needs no other member."""
        try:
            self.calls["status"](rpc.StatusRequest(), timeout=seconds)
        except grpc.RpcError as error:
            return error.code() not in (
                grpc.StatusCode.DEADLINE_EXCEEDED,
                grpc.StatusCode.UNAVAILABLE,
            )
        return True
