"""Receivers of webhooks that note when each number arrives.

They run in a process of their own, which does little for each message, so that they take as little as
possible of the processor from what is measured.
"""

from __future__ import annotations

import asyncio
import json
import mmap
import re
import struct
import subprocess
import sys
import tempfile
import time
from typing import IO, Self

STACKS = 10
HOOKS = 10  # of each stack

_NUMBER = re.compile(rb"w([0-9]{9})")
_CHALLENGE = re.compile(rb'"challenge": ?"([^"]+)"')
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_RECEIPTS = struct.Struct("=Q")
_FAILING = _RECEIPTS.size  # the place of the byte that is 1 to answer with status 503


class Webhooks:
    """The process of the receivers; a context manager."""

    def __enter__(self) -> Self:
        self._file: IO[bytes] = tempfile.NamedTemporaryFile()
        self._shared = _share(self._file)
        self._process = subprocess.Popen(
            [sys.executable, "-m", __spec__.name, self._file.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._arrived: dict[tuple[int, int], float] = {}
        self._port = int(self._read())
        return self

    def __exit__(self, *error: object) -> None:
        self._process.communicate()
        self._shared.close()
        self._file.close()

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def url(self, hook: int) -> str:
        """Return the target of the messages to a hook."""
        return f"http://127.0.0.1:{self._port}/{hook}"

    @property
    def receipts(self) -> int:
        """The number of messages, also of those that were answered with status 503."""
        count: int = _RECEIPTS.unpack_from(self._shared)[0]
        return count

    def fail(self, failing: bool) -> None:
        """Answer all messages with status 503 from now on, or end that."""
        self._shared[_FAILING] = failing

    def arrived(self) -> dict[tuple[int, int], float]:
        """Return the instants at which numbers arrived, by hook and number."""
        print(file=self._process.stdin, flush=True)
        for hook, number, at in json.loads(self._read()):
            self._arrived.setdefault((hook, number), at)
        return self._arrived


def hooks_of(number: int) -> list[tuple[int, int]]:
    """Return the hooks that are to receive a number, each with it."""
    first = number % STACKS * HOOKS
    return [(hook, number) for hook in range(first, first + HOOKS)]


# In the process of the receivers


def _share(file: IO[bytes]) -> mmap.mmap:
    file.truncate(_FAILING + 1)
    return mmap.mmap(file.fileno(), _FAILING + 1)


class _Receipts:
    """The messages that have arrived, and the responses to them."""

    def __init__(self, shared: mmap.mmap) -> None:
        self._shared = shared
        self._count = 0
        self._new: list[tuple[int, int, float]] = []

    def response(self, target: bytes, body: bytes) -> bytes:
        """Note a message and return the response to it."""
        challenge = _CHALLENGE.search(body)
        if challenge is not None:
            text = b'{"challenge":"%s"}' % challenge[1]
            return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text)
        self._count += 1
        _RECEIPTS.pack_into(self._shared, 0, self._count)
        if self._shared[_FAILING]:
            return b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\n{}"
        found = _NUMBER.search(body)  # a fact precedes its previous value
        assert found is not None
        self._new.append((int(target[1:]), int(found[1]), time.perf_counter()))
        return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

    def take(self) -> list[tuple[int, int, float]]:
        """Return what has arrived since the last call."""
        new, self._new = self._new, []
        return new


class _Connection(asyncio.Protocol):
    """A connection whose requests follow one another."""

    def __init__(self, receipts: _Receipts) -> None:
        self._receipts = receipts
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data = self._data + data if self._data else data
        while (end := self._data.find(b"\r\n\r\n") + 4) > 3:
            length = _LENGTH.search(self._data, 0, end)
            assert length is not None
            if len(self._data) < (until := end + int(length[1])):
                return
            target, body = self._data.split(b" ", 2)[1], self._data[end:until]
            self._data = self._data[until:]
            self._transport.write(self._receipts.response(target, body))


async def _serve(shared: mmap.mmap) -> None:
    """Receive messages, and print what is new for each line of the input, until that ends."""
    loop = asyncio.get_running_loop()
    receipts = _Receipts(shared)
    server = await loop.create_server(lambda: _Connection(receipts), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(receipts.take()), flush=True)


if __name__ == "__main__":
    with open(sys.argv[1], "r+b") as opened:
        asyncio.run(_serve(_share(opened)))
