"""The one package that talks to etcd: nobody else imports its library or gRPC."""

from factstore.store.client.client import EtcdClient
from factstore.store.client.watch_stream import WatchStream

__all__ = ["EtcdClient", "WatchStream"]
