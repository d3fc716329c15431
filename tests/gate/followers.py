"""Watchers through the real client, and copies of contexts that deltas keep up to date."""

from __future__ import annotations

import threading
import time
from typing import Any

from factstore.client import Bookmark as ClientBookmark
from factstore.client import Event, Snapshot, Stack
from factstore.client.errors import FactstoreError, OutcomeUnknown, Unavailable
from factstore.client.events import Change as ClientChange
from tests.faults.checker import Bookmark, Change, Held, Scope, Segment, Told, canonical
from tests.faults.plain_http import revision_of
from tests.faults.record_events import name_of
from tests.gate.clients import PROJECT, Actor
from tests.gate.recording import Copy, flattened
from tests.gate.world import World


class ClientWatcher:
    """A reader of the events of a stack, which the client reconnects by itself."""

    def __init__(
        self, world: World, stack: str, number: int, cursor: str, prefix: str = ""
    ) -> None:
        self.name = f"watch-{number}"
        self.scope = Scope(PROJECT, stack)
        self.prefix = prefix
        self.segments = [Segment(revision_of(cursor))]
        self.resets = 0
        self.complaints: list[str] = []
        self.known: list[tuple[float, int]] = []
        client = world.client()
        types = {"types": ["fact.put", "fact.delete", "fact.expire"]} if prefix else {}
        self._watch = client.stack(stack).watch(
            cursor, prefix=prefix or None, bookmarks=True, **types
        )
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    @property
    def position(self) -> int:
        """The revision up to which it is complete."""
        return self.segments[-1].position

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the watch."""
        self._watch.close()
        self._thread.join(60)
        assert not self._thread.is_alive(), f"{self.name} hangs"

    def _run(self) -> None:
        try:
            for item in self._watch:
                self._take(item)
        except Exception as error:  # noqa: BLE001 - the test reports it
            self.complaints.append(f"{self.name}: {error!r}")

    def _take(self, item: Snapshot | Event | ClientBookmark) -> None:
        revision = revision_of(item.cursor)
        if isinstance(item, Snapshot):
            self.resets += 1
            facts = {fact.path: Held(fact.revision, canonical(fact.value)) for fact in item.facts}
            self.segments.append(Segment(revision, facts))
            return
        self.known.append((time.monotonic(), revision))
        if isinstance(item, Event):
            self.segments[-1].items.append(Told(revision, tuple(map(_change, item.changes))))
        else:
            self.segments[-1].items.append(Bookmark(revision))


def _change(change: ClientChange) -> Change:
    if (name := name_of(change.type, change.name, change.flapping)) is not None:
        return Change(change.type, name, 0, None, 0)
    fact, previous = change.fact, change.previous
    return Change(
        change.type,
        change.path,
        fact.revision if fact else 0,
        canonical(fact.value) if fact else None,
        previous.revision if previous else 0,
    )


class CopyKeeper(Actor):
    """A copy of the context that is kept up to date, each version of which is recorded."""

    def __init__(self, world: World, stack: str, number: int) -> None:
        super().__init__(f"copy-{number}", 0.1)
        self.copies: list[Copy] = []
        self._scope = Scope(PROJECT, stack)
        self._stack: Stack = world.client().stack(stack)
        self.mirror = self._stack.mirror(results=True)

    def step(self) -> None:
        """Wait for a change, and record the copy."""
        known, started = self.mirror.context, time.monotonic()
        try:
            context = self.mirror.update(1)
        except (Unavailable, OutcomeUnknown):
            self._stopping.wait(0.1)
            return
        except FactstoreError as error:
            self.complaints.append(f"{self.name}: {error!r} {error.status}")
            return
        if context is not known:
            self.copies.append(self._copy(context, started))

    def _copy(self, context: Any, started: float) -> Copy:
        revision = revision_of(context.cursor)
        facts = flattened(context.facts)
        return Copy(self.name, self._scope, revision, facts, started, time.monotonic())
