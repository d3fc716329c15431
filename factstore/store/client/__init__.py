"""The one package that talks to etcd: nobody else imports its library or gRPC."""

from factstore.store.client.calls import EtcdClient
from factstore.store.client.watching import WatchStream

__all__ = ["EtcdClient", "WatchStream"]
