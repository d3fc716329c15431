"""Receivers of webhooks that note when each number arrives."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from dataclasses import dataclass, field
from typing import Self

STACKS = 10
HOOKS = 10  # of each stack

_NUMBER = re.compile(rb"w([0-9]{9})")
_CHALLENGE = re.compile(rb'"challenge": ?"([^"]+)"')


@dataclass
class Webhooks:
    """A server that notes when each number arrived; a context manager that runs it in a thread.

    :ivar arrived: the instants by hook and number.
    """

    failing: bool = False
    arrived: dict[tuple[int, int], float] = field(default_factory=dict)
    receipts: int = 0
    port: int = 0

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()

        def run() -> None:
            asyncio.set_event_loop(self._loop)
            starting = asyncio.start_server(self._serve, "127.0.0.1", 0)
            server = self._loop.run_until_complete(starting)
            self.port = server.sockets[0].getsockname()[1]
            ready.set()
            self._loop.run_forever()
            server.close()
            tasks = asyncio.all_tasks(self._loop)
            for task in tasks:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            self._loop.close()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        ready.wait()
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def url(self, hook: int) -> str:
        """Return the target of the messages to a hook."""
        return f"http://127.0.0.1:{self.port}/{hook}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
                body = await reader.readexactly(length)
                challenge = _CHALLENGE.search(body)
                text = b'{"challenge":"%s"}' % challenge[1] if challenge else b"{}"
                status = b"200 OK" if challenge or not self.failing else b"503 Busy"
                if not challenge:
                    self.receipts += 1
                    if not self.failing:
                        found = _NUMBER.search(body)  # a fact precedes its previous value
                        assert found is not None
                        number = int(found[1])
                        hook = int(head[: head.index(b" http")].rpartition(b"/")[2])
                        self.arrived.setdefault((hook, number), time.perf_counter())
                writer.write(
                    b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(text), text)
                )
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.close()


def hooks_of(number: int) -> list[tuple[int, int]]:
    """Return the hooks that are to receive a number, each with it."""
    first = number % STACKS * HOOKS
    return [(hook, number) for hook in range(first, first + HOOKS)]
