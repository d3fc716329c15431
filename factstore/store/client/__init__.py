"""The etcd client: the only package that imports etcd's library and gRPC."""

from factstore.store.client.client import EtcdClient
from factstore.store.client.diagnosis import ACCEPTS_CONNECTIONS, diagnose
from factstore.store.client.errors import Refused
from factstore.store.client.http2_calls import Failure
from factstore.store.client.protobuf import KeyPage
from factstore.store.client.tls import UnusableFile
from factstore.store.client.watch_stream import WatchStream

__all__ = [
    "ACCEPTS_CONNECTIONS",
    "EtcdClient",
    "Failure",
    "KeyPage",
    "Refused",
    "UnusableFile",
    "WatchStream",
    "diagnose",
]
