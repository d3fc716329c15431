"""Servers that misbehave."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Serve = Callable[[socket.socket], object]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Peer:
    """A server that calls a function with each connection, in a thread."""

    def __init__(self, serve: Serve, context: ssl.SSLContext | None = None) -> None:
        self._serve = serve
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.ended = threading.Event()
        """Set when the test ends, so that no connection outlives it."""
        self.connections = 0
        self.requests: list[bytes] = []
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._handle, args=[connection], daemon=True).start()

    def _handle(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            if self._context is None:
                self._serve(connection)
                return
            with self._context.wrap_socket(connection, server_side=True) as encrypted:
                self._serve(encrypted)

    def close(self) -> None:
        self.ended.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def read_request(self, connection: socket.socket) -> bytes:
        """Return the next request and note it; empty if the client has closed the connection."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = connection.recv(65536)
            if not piece:
                return b""
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
        while len(body) < length:
            body += connection.recv(65536)
        self.requests.append(head + b"\r\n\r\n" + body)
        return self.requests[-1]

    def flood(self, connection: socket.socket, data: bytes) -> None:
        """Send the same bytes again and again until the client closes the connection."""
        while not self.ended.is_set():
            connection.sendall(data)

    def drip(self, connection: socket.socket, data: bytes) -> None:
        """Send a byte now and then, for a long time."""
        for at in range(len(data)):
            connection.sendall(data[at : at + 1])
            if self.ended.wait(0.05):
                return


@contextmanager
def peer(
    serve: Callable[[Peer, socket.socket], object], context: ssl.SSLContext | None = None
) -> Iterator[Peer]:
    """Run a server; its function also gets the server."""
    server = Peer(lambda connection: serve(server, connection), context)
    try:
        yield server
    finally:
        server.close()


def answering(answer: bytes = OK) -> Callable[[Peer, socket.socket], None]:
    """Return a function that gives every request the same response."""

    def serve(server: Peer, connection: socket.socket) -> None:
        while server.read_request(connection):
            connection.sendall(answer)

    return serve
