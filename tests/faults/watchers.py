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
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.faults.checker import Bookmark, Change, Held, Item, Resumed, Segment, Told, canonical
from tests.faults.plain_http import Caller, Hung, Lost, revision_of
from tests.faults.record_events import name_of

SILENCE = 60.0  # seconds; a stream pings every 15
PAUSE = 0.05
TRANSIENT = {404, 429, 503, 504}
"""The stack is between two lives, the worker was paused while the request waited in it, or the store
cannot be asked."""


class Watcher(ABC):
    """The common part of both representations.

    :param servers: tried in turn, one for each connection.
    :param stack: the name of a stack, or several names with commas.
    :ivar views: the segments of each stack.
    """

    def __init__(
        self, name: str, servers: Sequence[str], stack: str, prefix: str = "", *, cursor: str
    ) -> None:
        self.name = name
        self.stack = stack
        self.prefix = prefix
        self.cursor = cursor
        self.stacks = stack.split(",")
        self.views = {each: [Segment(revision_of(cursor))] for each in self.stacks}
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

    @property
    def segments(self) -> list[Segment]:
        """The segments of its only stack."""
        (segments,) = self.views.values()
        return segments

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
            self._note(Resumed(self.position))
            try:
                self._visit(next(self._servers))
            except Lost:
                self._stopping.wait(PAUSE)
            except Exception as error:  # noqa: BLE001 - the test reports it
                self.complaints.append(repr(error))
                return

    def _note(self, item: Item) -> None:
        for segments in self.views.values():
            segments[-1].items.append(item)

    def _move(self, cursor: str) -> None:
        known, is_back = self.cursor.partition("."), revision_of(cursor) < self.position
        if cursor.partition(".")[0] != known[0] or is_back:
            self.complaints.append(f"{cursor} follows {self.cursor}")
        self.cursor = cursor

    def _tell(self, event: dict[str, Any]) -> None:
        revision = revision_of(event["cursor"])
        if revision <= self.position:
            self.complaints.append(f"event {revision} follows {self.cursor}")
        for stack, segments in self.views.items():
            changes = [each for each in event["changes"] if each.get("stack", stack) == stack]
            if changes:
                segments[-1].items.append(Told(revision, read_changes(changes)))

    def _begin(self, cursor: str, facts: Mapping[str, list[dict[str, Any]]]) -> None:
        self.resets += 1
        self.cursor = cursor
        for stack, segments in self.views.items():
            segments.append(Segment(revision_of(cursor), read_facts(facts.get(stack, []))))

    def _target(self, **query: str | int) -> str:
        if self.prefix:
            query["prefix"] = self.prefix
        if len(self.stacks) == 1:
            return f"{_base(self.stack)}/events?{urlencode(query)}"
        return f"/v1/events?{urlencode({'stacks': self.stack, **query})}"

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
                answer = caller.call("GET", self._target(since=self.cursor, wait=2))
                if answer.status == 410:
                    self._relist(caller)
                elif answer.status != 200:
                    self._unexpected(answer.status, answer.body)
                    return
                else:
                    page = answer.json()
                    for event in page["events"]:
                        self._tell(event)
                        self._move(event["cursor"])
                    self._note(Bookmark(revision_of(page["next"])))
                    self._move(page["next"])

    def _relist(self, caller: Caller) -> None:
        facts, at = {}, {}  # of all stacks at one revision
        for stack in self.stacks:
            query = {"limit": 1000, **at, **({"prefix": self.prefix} if self.prefix else {})}
            answer = caller.call("GET", f"{_base(stack)}/facts?{urlencode(query)}")
            if answer.status == 410 and at:
                return  # compacted meanwhile
            if answer.status != 200:
                self._unexpected(answer.status, answer.body)
                return
            page = answer.json()
            assert not any(link["rel"] == "next" for link in page["links"]), "more than a page"
            facts[stack], at = page["facts"], {"cursor": page["cursor"]}
        self._begin(at["cursor"], facts)


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
        headers = {"Accept": "text/event-stream", "Last-Event-ID": self.cursor}
        answer = None
        try:
            connection.connect()
            self._socket = connection.sock
            if self._held.is_set() or self._stopping.is_set():
                return
            connection.request("GET", self._target(), headers=headers)
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
        shown: dict[str, list[dict[str, Any]]] | None = None
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
                self._note(Bookmark(revision_of(frame["id"])))
                self._move(frame["id"])
            elif kind == "reset":
                shown = {}
            elif kind == "snapshot" and shown is not None:
                shown.setdefault(data.get("stack", self.stack), []).extend(data["facts"])
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


def read_changes(changes: list[dict[str, Any]]) -> tuple[Change, ...]:
    """Changes as the checker knows them."""
    return tuple(map(_read_change, changes))


def _read_change(change: dict[str, Any]) -> Change:
    name = name_of(change["type"], change.get("name"), change.get("flapping"))
    if name is not None:
        return Change(change["type"], name, 0, None, 0)
    return Change(
        change["type"],
        change["path"],
        change["fact"]["revision"] if change["fact"] else 0,
        canonical(change["fact"]["value"]) if change["fact"] else None,
        change["previous"]["revision"] if change["previous"] else 0,
    )


def read_facts(facts: list[dict[str, Any]]) -> dict[str, Held]:
    """Facts of a list or a snapshot as the checker knows them."""
    return {fact["path"]: Held(fact["revision"], canonical(fact["value"])) for fact in facts}


def _base(stack: str) -> str:
    return f"/v1/stacks/{stack}"
