"""The texts of the newest events, each made once for all subscriptions that deliver it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

from factstore.core.model.event import Event
from factstore.notify.messages import Render

SHARED_CHARACTERS = 8 * 1024 * 1024


class SharedTexts:
    """Renders events, and keeps the newest texts.

    Filters with the same result share a text, since it depends only on the changes that are left.

    :param render: renders the events of one revision.
    :param characters: the length of all texts that are kept; the newest one is always kept.
    """

    def __init__(self, render: Render, characters: int = SHARED_CHARACTERS) -> None:
        self._render = render
        self._room = characters
        self._lock = threading.Lock()
        # The events are kept with their text, so that no other change gets the identity of theirs.
        self._texts: OrderedDict[tuple[object, ...], tuple[Sequence[Event], str]] = OrderedDict()

    def __call__(self, events: Sequence[Event], epoch: str) -> tuple[str]:
        """Return the events of one revision as JSON."""
        changes = (id(change) for event in events for change in event.changes)
        key = (epoch, events[0].revision, *changes)
        found = self._texts.get(key)
        if found is None:
            found = events, "".join(self._render(events, epoch))
            self._keep(key, found)
        return (found[1],)

    def _keep(self, key: tuple[object, ...], entry: tuple[Sequence[Event], str]) -> None:
        with self._lock:
            if key in self._texts:  # another delivery was as fast
                return
            self._texts[key] = entry
            self._room -= len(entry[1])
            while self._room < 0 and len(self._texts) > 1:
                _, (_, text) = self._texts.popitem(last=False)
                self._room += len(text)
