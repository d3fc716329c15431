"""A small network of TCP connections between the parts of a run, in which flows can be disturbed.

A link is a port that leads to one of its targets.  Each connection has a source and a target by name,
so that the flow of bytes from one part to another can be held back, delayed or cut, in one direction or
in both.  Bytes that are held back are delivered later, as those of a network that comes back.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit
from weakref import WeakSet

from factstore.cmd.processes.ports import LOOPBACK

Flow = tuple[str, str]
"""The names of the sender and the receiver of bytes."""

CONNECT_SECONDS = 2.0
TURNS = 3


@dataclass(eq=False)
class _Connection:
    source: str
    target: str
    writers: list[asyncio.StreamWriter] = field(default_factory=list)


class Network:
    """Links, served by a thread of their own; a context manager that runs it."""

    def __init__(self) -> None:
        self._thread = threading.Thread(target=self._run, name="network", daemon=True)
        self._connections: set[_Connection] = set()
        self._held: set[Flow] = set()
        self._refused: set[Flow] = set()
        self._slow: dict[Flow, tuple[float, float]] = {}
        self._changed = asyncio.Event()
        self._transports: WeakSet[asyncio.WriteTransport] = WeakSet()  # the loop keeps open ones
        self._tasks: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def link(self, source: str | Callable[[int], str], targets: Sequence[tuple[str, str]]) -> str:
        """Open a port, and return its URL.

        :param source: the name of those who connect, or a function that returns it for their port.
        :param targets: names and URLs; connections go to them in turn, and to the next if one refuses.
        """
        turn = iter(_endless(range(len(targets))))

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            self._transports.add(writer.transport)
            with contextlib.suppress(asyncio.CancelledError, OSError):  # at the end of the run
                port = writer.get_extra_info("peername")[1]
                # To find a process takes long while the machine has many connections.
                name = source if isinstance(source, str) else await asyncio.to_thread(source, port)
                first = next(turn)
                order = [*targets[first:], *targets[:first]]
                await self._serve(name, order, reader, writer)
            self._tasks.discard(task)
            writer.close()

        async def open_() -> asyncio.Server:
            return await asyncio.start_server(serve, LOOPBACK, 0)

        server = asyncio.run_coroutine_threadsafe(open_(), self._loop).result(60)
        self._servers.append(server)
        return f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}"

    # Disturbances; each call lasts until heal()

    def hold(self, *flows: Flow) -> None:
        """Deliver no more bytes, and let nobody notice."""
        self._call(self._held.update, flows)

    def refuse(self, *flows: Flow) -> None:
        """Reset the connections from a source to a target, and refuse new ones."""
        self._call(self._refused.update, flows)
        self.reset(*flows)

    def slow(self, delay: float, rate: float, *flows: Flow) -> None:
        """Deliver with a delay in seconds, and at a rate in bytes per second."""
        self._call(self._slow.update, dict.fromkeys(flows, (delay, rate)))

    def reset(self, *flows: Flow) -> None:
        """Reset the connections from a source to a target once."""

        def abort() -> None:
            for each in list(self._connections):
                if (each.source, each.target) in flows:
                    for writer in each.writers:
                        writer.transport.abort()

        self._call(abort)

    def heal(self, *, reset: bool = False) -> None:
        """End all disturbances.

        :param reset: reset the connections of which bytes were held back.
        """
        held = set(self._held)
        if reset:
            self.reset(*held, *[(target, source) for source, target in held])
        for each in (self._held, self._refused, self._slow):
            self._call(each.clear)

    def _call(self, function: Callable[..., object], *arguments: Any) -> None:
        done = threading.Event()

        def run() -> None:
            function(*arguments)
            self._changed.set()
            self._changed = asyncio.Event()
            done.set()

        self._loop.call_soon_threadsafe(run)
        assert done.wait(60)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        for server in self._servers:
            server.close()
        self._turn()  # connections that were just accepted are served, and so closed
        for transport in list(self._transports):
            transport.abort()  # also those that are closing, and whose last bytes nobody reads
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        pending = asyncio.gather(*asyncio.all_tasks(self._loop), return_exceptions=True)
        self._loop.run_until_complete(pending)
        self._turn()  # transports close in the turns after
        self._loop.close()

    def _turn(self) -> None:
        for _ in range(TURNS):
            self._loop.run_until_complete(asyncio.sleep(0))

    async def _serve(
        self,
        source: str,
        targets: Iterable[tuple[str, str]],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        for target, url in targets:
            if (source, target) in self._refused:
                continue
            place = urlsplit(url)
            try:
                opening = asyncio.open_connection(place.hostname, place.port)
                answers, requests = await asyncio.wait_for(opening, CONNECT_SECONDS)
            except (OSError, TimeoutError):
                continue
            self._transports.add(requests.transport)
            made = _Connection(source, target, [writer, requests])
            self._connections.add(made)
            try:
                await asyncio.gather(
                    self._pump(reader, requests, (source, target)),
                    self._pump(answers, writer, (target, source)),
                )
            finally:
                self._connections.discard(made)
                requests.close()
            return
        writer.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flow: Flow
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if flow in self._slow:
                    delay, rate = self._slow[flow]
                    await asyncio.sleep(delay + len(data) / rate)
                while flow in self._held:
                    await self._changed.wait()
                writer.write(data)
                await writer.drain()
        with contextlib.suppress(OSError):
            if writer.can_write_eof():
                writer.write_eof()


def both(*flows: Flow) -> list[Flow]:
    """Return flows with their opposite directions."""
    return [each for source, target in flows for each in ((source, target), (target, source))]


def owner_of(port: int, pids: dict[str, int]) -> str:
    """Return the name of the process that has the local end of a connection from a port.

    :param pids: process ids by name.
    """
    ending = f":{port:04X}"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(ending) and fields[9] != "0":
            wanted = f"socket:[{fields[9]}]"
            for name, pid in pids.items():
                if wanted in _files(pid):
                    return name
    return "unknown"


def _files(pid: int) -> set[str]:
    found = set()
    with contextlib.suppress(OSError):
        for each in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                found.add(str(each.readlink()))
    return found


def _endless(numbers: range) -> Iterable[int]:
    while True:
        yield from numbers
