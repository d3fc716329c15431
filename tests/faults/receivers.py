"""Receivers of messages that answer well, badly or not at all, all in one server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from factstore.client.webhook import InvalidSignature, verify_webhook

GOOD = "good"
FAULTS = ("error", "hang", "redirect", "slow", "reset", "busy", "flood")
SLOW_SECONDS = 0.3
_HEAD = {
    GOOD: "200 OK",
    "slow": "200 OK",
    "error": "500 Error",
    "redirect": "307 Redirect\r\nLocation: /elsewhere",
    "busy": "429 Busy\r\nRetry-After: 1",
}


@dataclass(frozen=True)
class Receipt:
    """A message that arrived; *at* is the monotonic clock."""

    id: str
    events: tuple[dict[str, Any], ...]
    at: float


@dataclass
class Box:
    """The messages of one receiver, and its present behaviour."""

    secret: str | None = None
    mode: str = GOOD
    receipts: list[Receipt] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def revisions(self) -> list[int]:
        """Return the revisions of the changes that arrived, in order."""
        return [
            int(event["data"]["cursor"].rpartition(".")[2])
            for receipt in list(self.receipts)
            for event in receipt.events
            if event["type"].endswith(".change")
        ]


class Receivers:
    """A server with a box for each path; a context manager that runs it in a thread."""

    def __init__(self) -> None:
        self.boxes: dict[str, Box] = defaultdict(Box)
        self.elsewhere = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.port = 0

    def __enter__(self) -> Receivers:
        self._loop = asyncio.new_event_loop()
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *exception: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.run_until_complete(asyncio.sleep(0))  # transports close in the next turn
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = OSError, asyncio.IncompleteReadError, asyncio.CancelledError
        with contextlib.closing(writer), contextlib.suppress(*ends):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                lines = head.split("\r\n")[:-2]
                path = lines[0].split(" ")[1]
                headers = dict(line.split(": ", 1) for line in lines[1:])
                body = await reader.readexactly(int(headers["Content-Length"]))
                if path == "/elsewhere":
                    self.elsewhere += 1
                answer = self._receive(self.boxes[path], headers, body)
                await self._answer(self.boxes[path], answer, reader, writer)

    def _receive(self, box: Box, headers: dict[str, str], body: bytes) -> bytes:
        at = time.monotonic()
        if box.secret is None:  # the response that contains the secret is still on its way
            message = json.loads(body)
        else:
            try:
                message = verify_webhook(box.secret, headers, body)
            except (InvalidSignature, ValueError) as error:
                box.wrong.append(str(error))
                return b"{}"
        events = message if isinstance(message, list) else [message]
        box.receipts.append(Receipt(headers["webhook-id"], tuple(events), at))
        return json.dumps({"challenge": events[0]["data"].get("challenge")}).encode()

    async def _answer(
        self, box: Box, body: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        mode = box.mode
        if mode == "reset":
            writer.transport.abort()
        if mode == "hang":
            await reader.read(1)  # until the client closes the connection
        if mode == "slow":
            await asyncio.sleep(SLOW_SECONDS)
        if mode == "flood":
            writer.write(b"HTTP/1.1 500 Error\r\nContent-Length: 1000000000\r\n\r\n")
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
        writer.write(
            f"HTTP/1.1 {_HEAD.get(mode, '200 OK')}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        await writer.drain()
