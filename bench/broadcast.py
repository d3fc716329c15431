"""A bare broadcast in asyncio, with uvloop: what any Python server has to do to reach many watchers.

``python -m bench.broadcast PORT`` serves it.  Each connection gets the first bytes of a stream.  A text
that one publishes is written to all others, as one chunk.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

from bench.watchers import BEGUN, PATIENCE, Readers
from factstore.cmd.processes.ports import LOOPBACK, free_port
from factstore.cmd.processes.process import Child, python_environment

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + BEGUN + b"\n\n"
# As long as an event of the service.
_EVENT = b"a5\r\nid: 0123456789abcdef0123456789abcdef.1234\ndata: %s%s\n\n\r\n"
_FILLER = b"x" * 100
_PUBLISH = b"PUBLISH "


class _Broadcast(asyncio.Protocol):
    def __init__(self, all_of_them: set[asyncio.Transport]) -> None:
        self._all = all_of_them

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if not data.startswith(_PUBLISH):
            self._all.add(self._transport)
            self._transport.write(_HEAD)
            return
        self._transport.write(b"ok\n")
        frame = _EVENT % (data.removeprefix(_PUBLISH).strip(), _FILLER)
        for transport in self._all:
            transport.write(frame)

    def connection_lost(self, error: Exception | None) -> None:
        self._all.discard(self._transport)


async def _serve(port: int) -> None:
    watchers: set[asyncio.Transport] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: _Broadcast(watchers), LOOPBACK, port, backlog=1024, reuse_address=True
    )
    await server.serve_forever()


class Broadcast:
    """Context manager for the process."""

    def __init__(self, state: Path) -> None:
        self._port = free_port()
        self._child = Child("the broadcast")
        self._log = state / "broadcast.log"
        self._publisher: socket.socket | None = None

    def __enter__(self) -> Broadcast:
        argv = [sys.executable, "-m", "bench.broadcast", str(self._port)]
        self._child.start(argv, log_path=self._log, env=python_environment())
        self._child.wait_until(self._answers, 15.0, time.sleep)
        return self

    def __exit__(self, *error: object) -> None:
        if self._publisher is not None:
            self._publisher.close()
        self._child.kill()

    def readers(self) -> Readers:
        """Return watchers of the broadcast."""
        assert self._child.pid is not None
        url = f"http://{LOOPBACK}:{self._port}"
        return Readers(url, self._child.pid, b"GET / HTTP/1.1\r\n\r\n", BEGUN)

    def writer(self) -> Callable[[str], None]:
        """Return a function that publishes a text to all watchers."""
        publisher = self._publisher = socket.create_connection((LOOPBACK, self._port), PATIENCE)

        def publish(text: str) -> None:
            publisher.sendall(_PUBLISH + text.encode() + b"\n")
            assert publisher.recv(16) == b"ok\n"

        return publish

    def _answers(self) -> bool:
        try:
            socket.create_connection((LOOPBACK, self._port), 1).close()
        except OSError:
            return False
        return True


if __name__ == "__main__":
    import uvloop

    uvloop.run(_serve(int(sys.argv[1])))
