"""Watchers who wait cost little and hold up nobody."""

from __future__ import annotations

import os
import selectors
import socket
from pathlib import Path
from urllib.parse import urlsplit

from factstore.cmd.processes.etcd import EtcdServer
from tests.faults.conftest import StartApi
from tests.faults.readiness import put
from tests.service import ApiServer

WATCHERS = 500
BYTES_EACH = 128 * 1024
REQUEST = (
    b"GET /v1/stacks/s/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
)
SILENCE = 60.0


class Crowd:
    """Many streams, read from one thread."""

    def __init__(self, server: ApiServer, count: int) -> None:
        address = urlsplit(server.url)
        self._selector = selectors.DefaultSelector()
        self._heard: dict[socket.socket, bytes] = {}
        for _ in range(count):
            stream = socket.create_connection((str(address.hostname), int(address.port or 0)))
            stream.sendall(REQUEST)
            self._selector.register(stream, selectors.EVENT_READ)
            self._heard[stream] = b""

    def hear(self, text: bytes) -> None:
        """Return when everybody has heard a text."""
        deaf = {stream for stream, heard in self._heard.items() if text not in heard}
        while deaf:
            ready = self._selector.select(SILENCE)
            assert ready, f"{len(deaf)} do not hear {text!r}"
            for key, _ in ready:
                stream: socket.socket = key.fileobj  # type: ignore[assignment]
                more = stream.recv(65536)
                assert more, f"a stream ended: {self._heard[stream]!r}"
                self._heard[stream] += more
                if text in self._heard[stream]:
                    deaf.discard(stream)

    def times_heard(self, text: bytes) -> set[int]:
        return {heard.count(text) for heard in self._heard.values()}

    def __enter__(self) -> Crowd:
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()
        for stream in self._heard:
            stream.close()


def _memory(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_hundreds_of_idle_watchers_cost_kilobytes_and_receive_every_write(
    etcd_server: EtcdServer, start_api: StartApi, scale: int
) -> None:
    server = start_api([etcd_server.endpoint])
    count = min(WATCHERS * scale, 5000)
    put(server, "s", "first", 1)
    with Crowd(server, 1) as one:
        one.hear(b": factstore")
    (worker,) = server.workers()
    before = _memory(worker)
    with Crowd(server, count) as crowd:
        crowd.hear(b": factstore")
        each = (_memory(worker) - before) / count
        print(f"{each / 1024:.1f} KiB a watcher")
        assert each < BYTES_EACH
        for number in range(50):  # nobody reads meanwhile
            put(server, "s", f"p{number % 7}", number)
        last = put(server, "s", "last", "one")
        crowd.hear(f"id: {last['etag']}\n".encode())
        assert crowd.times_heard(b"event: change") == {51}
