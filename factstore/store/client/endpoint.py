"""One endpoint of the cluster: its channel and its calls."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc

from factstore.store.client import messages as rpc
from factstore.store.client.encoding import TXN
from factstore.store.client.leases import keep_alive, list_leases
from factstore.store.types import CHANNEL_OPTIONS, Credentials


class Endpoint:
    """An endpoint: a channel and its stubs."""

    def __init__(self, endpoint: str, credentials: Credentials) -> None:
        scheme, _, target = endpoint.partition("://")
        if scheme == "https":
            pem = [
                Path(name).read_bytes() if name else None
                for name in (credentials.ca_file, credentials.key_file, credentials.cert_file)
            ]
            self.channel = grpc.secure_channel(
                target, grpc.ssl_channel_credentials(*pem), options=CHANNEL_OPTIONS
            )
        else:
            self.channel = grpc.insecure_channel(target, options=CHANNEL_OPTIONS)
        kv, lease = rpc.KVStub(self.channel), rpc.LeaseStub(self.channel)
        self.calls: dict[str, Callable[..., Any]] = {
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
