"""Proxies and servers with TLS, each in a thread."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator

LOOPBACK = "127.0.0.1"


class ConnectProxy:
    """A proxy that answers CONNECT with a status, and tunnels to one port whatever the host is.

    :ivar requests: the requests that it received, each as text.
    """

    def __init__(self, port: int, status: str = "200 Connection established") -> None:
        self.requests: list[str] = []
        self._port = port
        self._status = status
        self._listener = socket.create_server((LOOPBACK, 0))
        self.url = f"http://{LOOPBACK}:{self._listener.getsockname()[1]}"

    def serve(self) -> None:
        """Serve one connection after the other, until the listener is closed."""
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client, contextlib.suppress(OSError):
                head = b""
                while b"\r\n\r\n" not in head:
                    head += client.recv(65536)
                self.requests.append(head.decode())
                client.sendall(f"HTTP/1.1 {self._status}\r\nContent-Length: 0\r\n\r\n".encode())
                if self._status.startswith("200"):
                    with socket.create_connection((LOOPBACK, self._port)) as server:
                        back = threading.Thread(target=pump, args=[server, client])
                        back.start()
                        pump(client, server)
                        back.join()

    def close(self) -> None:
        """Stop serving."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def pump(source: socket.socket, target: socket.socket) -> None:
    """Copy data until the source is closed, and close the target for writing."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def connect_proxy(port: int, status: str = "200 Connection established") -> Iterator[ConnectProxy]:
    """Run a proxy."""
    proxy = ConnectProxy(port, status)
    thread = threading.Thread(target=proxy.serve)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join()


@contextlib.contextmanager
def tls_in_front_of(port: int, context: ssl.SSLContext) -> Iterator[int]:
    """Run a server that decrypts connections for a port, and return its own port."""
    listener = socket.create_server((LOOPBACK, 0))

    def serve() -> None:
        while True:
            try:
                raw, _ = listener.accept()
            except OSError:
                return
            with (
                contextlib.suppress(OSError),
                context.wrap_socket(raw, server_side=True) as client,
                socket.create_connection((LOOPBACK, port)) as server,
            ):
                there = threading.Thread(target=pump, args=[client, server])
                there.start()
                while data := server.recv(65536):
                    client.sendall(data)
                socket.socket.shutdown(client, socket.SHUT_RDWR)
                there.join()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
