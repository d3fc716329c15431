"""Watchers that record everything they receive, over any number of connections.

Each runs on a thread of its own, resumes with the last cursor on the next server when a connection
ends, and begins a new segment only after a 410, or a ``reset`` with its snapshot.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.faults.checker import Bookmark, Change, Held, Resumed, Segment, Told, canonical
from tests.faults.plain_http import Caller, Hung, Lost, revision_of

SILENCE = 40.0  # seconds; a stream pings every 15
PAUSE = 0.05
TRANSIENT = {404, 503, 504}  # the stack is between two lives, or the store cannot be asked


class Watcher(ABC):
    """The common part of both representations.

    :param servers: tried in turn, one for each connection.
    """

    def __init__(
        self, name: str, servers: Sequence[str], stack: str, prefix: str = "", *, cursor: str
    ) -> None:
        self.name = name
        self.stack = stack
        self.prefix = prefix
        self.cursor = cursor
        self.segments = [Segment(revision_of(cursor))]
        self.connections = 0
        self.resets = 0
        self.complaints: list[str] = []
        self._servers = itertools.cycle(servers)
        self._stopping = threading.Event()
        self._held = threading.Event()
        self._idle = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def position(self) -> int:
        """The revision up to which it believes to be complete."""
        return revision_of(self.cursor)

    def start(self) -> None:
        self._thread.start()

    def hold(self) -> None:
        """Disconnect, and stay so until :meth:`release`."""
        self._idle.clear()
        self._held.set()
        self._cut()
        assert self._idle.wait(ANSWER_LIMIT), f"{self.name} does not let go"

    def release(self, server: str | None = None) -> None:
        """Resume; with *server* there first."""
        if server is not None:
            self._servers = itertools.chain([server], self._servers)
        self._held.clear()

    def stop(self) -> None:
        self._stopping.set()
        self._cut()
        self._thread.join(ANSWER_LIMIT)
        assert not self._thread.is_alive(), f"{self.name} hangs"

    def _cut(self) -> None:  # noqa: B027 - a poll need not be cut
        """Break the present connection, if that can be done from outside."""

    @abstractmethod
    def _visit(self, server: str) -> None:
        """Follow a server until the connection is lost."""

    def _run(self) -> None:
        while not self._stopping.is_set():
            if self._held.is_set():
                self._idle.set()
                self._stopping.wait(PAUSE)
                continue
            self.connections += 1
            self._segment.items.append(Resumed(self.position))
            try:
                self._visit(next(self._servers))
            except Lost:
                self._stopping.wait(PAUSE)
            except Exception as error:  # noqa: BLE001 - the test reports it
                self.complaints.append(repr(error))
                return

    @property
    def _segment(self) -> Segment:
        return self.segments[-1]

    def _move(self, cursor: str) -> None:
        if cursor.partition(".")[0] != self.cursor.partition(".")[0]:
            self.complaints.append(f"{cursor} follows {self.cursor}")
        self.cursor = cursor

    def _tell(self, event: dict[str, Any]) -> None:
        revision = revision_of(event["cursor"])
        self._segment.items.append(Told(revision, read_changes(event)))

    def _begin(self, cursor: str, facts: list[dict[str, Any]]) -> None:
        self.resets += 1
        self.cursor = cursor
        self.segments.append(Segment(revision_of(cursor), read_facts(facts)))

    def _unexpected(self, status: int, body: bytes) -> None:
        if status not in TRANSIENT:
            self.complaints.append(f"{status}: {body[:300]!r}")
        self._stopping.wait(PAUSE)


ANSWER_LIMIT = 60.0


class PollWatcher(Watcher):
    """A long-poller."""

    def _visit(self, server: str) -> None:
        with Caller(server) as caller:
            while not (self._stopping.is_set() or self._held.is_set()):
                query = {"since": self.cursor, "wait": 2, **self._filter()}
                answer = caller.call("GET", f"{_base(self.stack)}/events?{urlencode(query)}")
                if answer.status == 410:
                    self._relist(caller)
                elif answer.status != 200:
                    self._unexpected(answer.status, answer.body)
                    return
                else:
                    page = answer.json()
                    for event in page["events"]:
                        self._tell(event)
                    self._segment.items.append(Bookmark(revision_of(page["next"])))
                    self._move(page["next"])

    def _relist(self, caller: Caller) -> None:
        query = {"limit": 1000, **self._filter()}
        answer = caller.call("GET", f"{_base(self.stack)}/facts?{urlencode(query)}")
        if answer.status != 200:
            return self._unexpected(answer.status, answer.body)
        page = answer.json()
        assert not any(link["rel"] == "next" for link in page["links"]), "more than a page"
        self._begin(page["cursor"], page["facts"])
        return None

    def _filter(self) -> dict[str, str]:
        return {"prefix": self.prefix} if self.prefix else {}


class StreamWatcher(Watcher):
    """A reader of server-sent events."""

    _socket: socket.socket | None = None

    def _cut(self) -> None:
        connected = self._socket
        if connected is not None:
            with contextlib.suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)

    def _visit(self, server: str) -> None:
        connection = http.client.HTTPConnection(urlsplit(server).netloc, timeout=SILENCE)
        query = f"?{urlencode({'prefix': self.prefix})}" if self.prefix else ""
        headers = {"Accept": "text/event-stream", "Last-Event-ID": self.cursor}
        answer = None
        try:
            connection.connect()
            self._socket = connection.sock
            if self._held.is_set() or self._stopping.is_set():
                return
            connection.request("GET", f"{_base(self.stack)}/events{query}", headers=headers)
            answer = connection.getresponse()
            if answer.status != 200:
                self._unexpected(answer.status, answer.read())
                return
            self._read(answer)
        except TimeoutError as error:
            raise Hung(f"{self.name} heard nothing for {SILENCE:g} s") from error
        except (OSError, http.client.HTTPException) as error:
            raise Lost(repr(error)) from error
        finally:
            self._socket = None
            if answer is not None:
                answer.close()
            connection.close()

    def _read(self, answer: http.client.HTTPResponse) -> None:
        shown: list[dict[str, Any]] | None = None
        for frame in frames(answer):
            kind, data = frame.get("event"), json.loads(frame["data"])
            if kind == "change":
                if data["cursor"] != frame["id"]:
                    self.complaints.append(f"id {frame['id']} with cursor {data['cursor']}")
                self._tell(data)
                self._move(frame["id"])
            elif kind == "bookmark" and shown is not None:
                self._begin(frame["id"], shown)
                shown = None
            elif kind == "bookmark":
                self._segment.items.append(Bookmark(revision_of(frame["id"])))
                self._move(frame["id"])
            elif kind == "reset":
                shown = []
            elif kind == "snapshot" and shown is not None:
                shown.extend(data["facts"])
            elif kind != "goodbye":
                self.complaints.append(f"frame {frame}")


def frames(answer: http.client.HTTPResponse) -> Iterator[dict[str, str]]:
    """Whole frames; one that a lost connection cut off is none."""
    frame: dict[str, str] = {}
    while line := answer.readline():
        text = line.decode().rstrip("\n")
        if not text:
            if "data" in frame:
                yield frame
            frame = {}
        elif not text.startswith(":"):
            name, _, value = text.partition(": ")
            frame[name] = f"{frame[name]}\n{value}" if name in frame else value


def read_changes(event: dict[str, Any]) -> tuple[Change, ...]:
    """An event's changes as the checker knows them."""
    return tuple(
        Change(
            change["type"],
            change["path"],
            change["fact"]["revision"] if change["fact"] else 0,
            canonical(change["fact"]["value"]) if change["fact"] else None,
            change["previous"]["revision"] if change["previous"] else 0,
        )
        for change in event["changes"]
    )


def read_facts(facts: list[dict[str, Any]]) -> dict[str, Held]:
    """Facts of a list or a snapshot as the checker knows them."""
    return {fact["path"]: Held(fact["revision"], canonical(fact["value"])) for fact in facts}


def _base(stack: str) -> str:
    return f"/v1/stacks/{stack}"
