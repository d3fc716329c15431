"""The steps of one watch.

All keys are below one root, so that the watch reports every revision of the service.

etcd looks only every tenth of a second for watches that start in the past.  So the watch is opened
before the contents are read at which it starts, and reports at once what is written meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from factstore.core.errors import CursorExpired
from factstore.core.model.event import Step
from factstore.store.client import EtcdClient
from factstore.store.decoding import Decoder
from factstore.store.earlier_receipts import EarlierReceipts
from factstore.store.history_watch import HistoryWatch
from factstore.store.keyspace import Keyspace
from factstore.store.types import Compacted


class StepReader:
    """Reads the steps after a revision.

    :param deadline: returns the deadline of a call.
    :param earlier_receipts: notes the events of an earlier version's receipts.
    """

    def __init__(
        self,
        client: EtcdClient,
        keyspace: Keyspace,
        decoder: Decoder,
        deadline: Callable[[], float],
        earlier_receipts: EarlierReceipts,
    ) -> None:
        self._client = client
        self._keys = keyspace
        self._decoder = decoder
        self._deadline = deadline
        self._opened: tuple[int, HistoryWatch] | None = None  # until it is read
        self._stream: HistoryWatch | None = None
        self._earlier_receipts = earlier_receipts

    def open(self, after: int, head: int) -> None:
        """Open the watch of the steps after a revision, which :meth:`read` will read.

        :param head: the newest revision.
        """
        self._close_opened()
        self._opened = after, self._watch(after, head)

    def read(self, after: int, head: int) -> Iterator[Step]:
        """Return every step after a revision.

        :param head: the newest revision.
        :raises CursorExpired: etcd has compacted the revision.
        """
        if self._opened is not None and self._opened[0] == after:
            (_, stream), self._opened = self._opened, None
        else:
            self._close_opened()
            stream = self._watch(after, head)
        self._stream = stream
        try:
            # A watch must start later than the compacted revision: etcd 3.4 loses a deletion that was
            # made at exactly that one.
            if self._is_compacted(after):
                raise CursorExpired("etcd has compacted the history")
        except BaseException:
            stream.close()
            raise
        return self._steps(stream)

    def _steps(self, stream: HistoryWatch) -> Iterator[Step]:
        try:
            for events in stream:
                mutations = tuple(self._decoder.reported(events))
                if len(mutations) < len(events):  # some are no part of the state
                    self._earlier_receipts.note(events)
                step = Step(events[0].item.revision, mutations)
                del events  # they keep all of the response that they came in
                yield step
        except Compacted as error:
            raise CursorExpired(f"etcd has compacted the history: {error}") from error
        finally:
            stream.close()
            self._stream = None

    def interrupt(self) -> None:
        """Close the watch; a running iteration raises Unavailable."""
        if self._stream is not None:
            self._stream.close()
        if self._opened is not None:
            self._opened[1].close()

    def _watch(self, after: int, head: int) -> HistoryWatch:
        watch = partial(self._client.watch, *self._keys.everything)
        return HistoryWatch(watch, after + 1, head)

    def _close_opened(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            opened[1].close()

    def compacted_after(self, revision: int) -> int:
        """Return the revision to which etcd is compacted; 0 if it is not later than a revision."""
        if not self._is_compacted(revision):
            return 0
        return self._client.compacted_revision(self._keys.epoch)

    def _is_compacted(self, revision: int) -> bool:
        """Return True if etcd is compacted to a later revision."""
        return self._client.is_compacted(self._keys.epoch, max(revision, 1), self._deadline())
