"""The history of the store in etcd: its contents at a revision, and the steps after it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from factstore.core.errors import CursorExpired
from factstore.core.history_store import KnownFact, PastSteps, Snapshot
from factstore.core.model.event import Loaded, Step
from factstore.store.client import EtcdClient
from factstore.store.decoding import Decoder
from factstore.store.earlier_receipts import EarlierReceipts
from factstore.store.followed import Followed
from factstore.store.head import Head
from factstore.store.keyspace import Keyspace
from factstore.store.own_facts import OwnFacts
from factstore.store.past import PastReader
from factstore.store.past_steps import PastStepsReader
from factstore.store.steps import StepReader


class EtcdHistory:
    """The part of a backend that reads the contents and follows their changes.

    :param head: of the store, which is the opened one once its contents have been read.
    :param own_facts: those that this process has written, which need not be decoded.
    :param window: the number of past revisions that a new worker follows, if etcd still has them.
    :param deadline: returns the deadline of a call.
    :ivar past: reads what was stored at a revision.
    :ivar followed: the revision up to which some worker has seen all changes.
    :ivar earlier_receipts: finds receipts that an earlier version has stored.
    """

    def __init__(
        self,
        client: EtcdClient,
        keyspace: Keyspace,
        head: Head,
        own_facts: OwnFacts,
        window: int,
        deadline: Callable[[], float],
    ) -> None:
        self._client = client
        self._head = head
        self._window = window
        self._deadline = deadline
        self._past_steps = PastStepsReader(client, keyspace, deadline)
        decoder = Decoder(keyspace, own_facts)
        self.past = PastReader(client, keyspace, decoder)
        self.followed = Followed(client, keyspace)
        self.earlier_receipts = EarlierReceipts(client, keyspace)
        self._steps = StepReader(client, keyspace, decoder, deadline, self.earlier_receipts)

    def open(self, *, recent: bool) -> Snapshot:
        """Return the oldest state from which the whole window can be followed, or a recent one."""
        self._client.loop.connect_soon()
        store_id, cluster_id, head = self._head.open(self._deadline)
        opening = self.followed.open(
            head, self._steps.compacted_after, self._window, self._deadline()
        )
        self.earlier_receipts.look(self._deadline())

        epoch = hashlib.sha256(b"%d/%b" % (cluster_id, store_id)).hexdigest()[:16]
        signing_key = hashlib.sha256(b"signing key %b" % store_id).digest()
        oldest = opening.oldest - 1
        revision = opening.newest - 1 if recent else oldest
        self._steps.open(revision, head)
        contents = self._contents(revision, store_id, epoch)
        since = oldest if oldest < revision else None
        return Snapshot(epoch, revision, contents, opening.lost_at, signing_key, since)

    def _contents(self, revision: int, store_id: bytes, epoch: str) -> Iterator[Loaded]:
        """Yield the contents, after which the newest revision and writes are those of this store."""
        if revision:
            yield from self.past.all(revision, self._deadline)
        self._head.opened = store_id, epoch

    def follow(self, after: int) -> Iterator[Step]:
        """Return every step after a revision; see :class:`~factstore.core.ports.Backend`."""
        head = self.head(self._deadline())
        if head < after:
            raise CursorExpired(
                "etcd is at an older revision than before; it was restored or replaced"
            )
        return self._steps.read(after, head)

    def read_past(self, after: int, upto: int, known: KnownFact) -> PastSteps:
        """Return the history before a snapshot; see :class:`PastStepsReader`."""
        return self._past_steps.read(after, upto, known)

    def interrupt(self) -> None:
        """Make a running :meth:`follow` or :meth:`read_past` raise Unavailable."""
        self._steps.interrupt()
        self._past_steps.interrupt()

    def head(self, deadline: float) -> int:
        """Return the newest revision of the store that was opened, with a linearizable read.

        :raises CursorExpired: the store was replaced; following was interrupted.
        """
        try:
            return self._head.read(deadline)
        except CursorExpired:
            self._client.prefer_next()
            self.interrupt()
            raise
