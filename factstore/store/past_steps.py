"""The history before a snapshot, which is read while the steps after the snapshot are followed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from factstore.core.errors import CursorExpired
from factstore.core.history_store import KnownFact, PastSteps
from factstore.core.model.event import Loaded, Step
from factstore.store.client import EtcdClient
from factstore.store.decoding import Decoder
from factstore.store.history_watch import HistoryWatch
from factstore.store.keyspace import Keyspace
from factstore.store.past import PastReader
from factstore.store.types import Compacted


class PastStepsReader:
    """Reads the history between two revisions, with a watch of its own."""

    def __init__(
        self, client: EtcdClient, keyspace: Keyspace, deadline: Callable[[], float]
    ) -> None:
        self._client = client
        self._keys = keyspace
        self._deadline = deadline
        self._stream: HistoryWatch | None = None

    def read(self, after: int, upto: int, known: KnownFact) -> PastSteps:
        """Return the history; see :meth:`~factstore.core.history_store.HistoryStore.read_past`.

        The watch does not report that it has reached *upto*, but the step after it.
        """
        decoder = Decoder(self._keys, known=known)
        return PastSteps(
            self._contents(after, decoder),
            self._steps(after, upto, decoder),
        )

    def interrupt(self) -> None:
        """Make a running read of steps raise Unavailable."""
        if self._stream is not None:
            self._stream.close()

    def _contents(self, revision: int, decoder: Decoder) -> Iterator[Loaded]:
        if revision:
            yield from PastReader(self._client, self._keys, decoder).all(revision, self._deadline)

    def _steps(self, after: int, upto: int, decoder: Decoder) -> Iterator[Step]:
        everything = self._keys.everything
        watch = partial(self._client.watch, everything.start, everything.end)
        stream = self._stream = HistoryWatch(watch, after + 1, upto)
        try:
            for events in stream:
                revision = events[0].item.revision
                if revision > upto:
                    return
                step = Step(revision, tuple(decoder.mutations(events)))
                del events  # they keep all of the response that they came in
                yield step
        except Compacted as error:
            raise CursorExpired(f"etcd has compacted the history: {error}") from error
        finally:
            stream.close()
            self._stream = None
