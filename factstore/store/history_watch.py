"""A watch that starts in the past and reads several parts of the history at the same time.

etcd sends at most a thousand revisions to each watch that is behind, and then none for a tenth of a
second.  So a long history is divided among several watches, which are read one after the other.
Each of them would report everything after its start, so nothing depends on where it is divided.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from factstore.store.client import WatchStream
from factstore.store.types import WatchEvent

PART = 1000  # revisions
TOGETHER = 4  # parts, each of which needs memory in etcd and here; more are read no faster


class HistoryWatch:
    """An iterator over revisions, each a list of its events; it has the errors of :class:`WatchStream`.

    :param watch: opens a watch that starts at a revision.
    :param start: the first revision.
    :param head: the newest revision.
    """

    def __init__(self, watch: Callable[[int], WatchStream], start: int, head: int) -> None:
        self._watch = watch
        self._head = head
        self._closed = False
        self._starts: deque[int] = deque()
        self._streams: deque[WatchStream] = deque()
        try:
            self._open(start)
            self._open_more()
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[Sequence[WatchEvent]]:
        """Yield until a stream ends, which raises what it raises."""
        try:
            while True:
                until = self._starts[1] if len(self._starts) > 1 else math.inf
                for events in self._streams[0]:
                    if until != math.inf and events[0].item.revision >= until:
                        break
                    yield events
                    del events  # they keep all of the response that they came in
                self._streams[0].close()
                self._streams.popleft()
                self._starts.popleft()
                self._open_more()
                time.sleep(0)  # greenlets receive what has arrived for the next parts
        finally:
            self.close()

    def close(self) -> None:
        """Close all streams; a running iteration raises Unavailable."""
        self._closed = True
        for stream in list(self._streams):
            stream.close()

    def _open_more(self) -> None:
        while len(self._starts) < TOGETHER and self._starts[-1] + PART <= self._head:
            self._open(self._starts[-1] + PART)

    def _open(self, start: int) -> None:
        stream = self._watch(start)
        self._starts.append(start)
        self._streams.append(stream)
        if self._closed:  # while the stream was opened
            stream.close()
