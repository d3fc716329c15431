"""The history of the store in etcd: its contents at a revision, and the steps after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

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

    :param head: of the store, which is the opened one once the state of its contents is in use.
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
        self.followed = Followed(client, keyspace, head.guard)
        self.earlier_receipts = EarlierReceipts(client, keyspace)
        self._steps = StepReader(client, keyspace, decoder, deadline, self.earlier_receipts)

    def open(self, *, recent: bool) -> Snapshot:
        """Return the oldest state from which the whole window can be followed, or a recent one."""
        self._client.loop.connect_soon()
        opened = self._head.open(self._deadline)
        opening = self.followed.open(
            opened.revision, self._steps.compacted_after, self._window, self._deadline()
        )
        self.earlier_receipts.look(self._deadline())

        oldest = opening.oldest - 1
        revision = opening.newest - 1 if recent else oldest
        self._steps.open(revision, opened.revision)
        return Snapshot(
            opened.epoch,
            revision,
            self._contents(revision, opened.store_id),
            opening.lost_at,
            opened.signing_key,
            since=oldest if oldest < revision else None,
            renewed_at=opened.renewed_at,
            use=partial(self._head.use, opened.store_id, opened.epoch),
        )

    def _contents(self, revision: int, store_id: bytes) -> Iterator[Loaded]:
        """Yield the contents of a store.

        :raises CursorExpired: some of them may be those of another one.
        """
        if revision:
            yield from self.past.all(revision, self._deadline)
        self._head.check(store_id, self._deadline())

    def follow(self, after: int) -> Iterator[Step]:
        """Return every step after a revision; see :class:`~factstore.core.ports.Backend`."""
        head = self.head(self._deadline())
        if head < after:
            raise CursorExpired(
                "etcd is at an older revision than before; it was restored or replaced"
            )
        return self._of_this_store(self._steps.read(after, head))

    def _of_this_store(self, steps: Iterator[Step]) -> Iterator[Step]:
        """Yield steps, unless their watch was opened after the store was replaced.

        The connection of a watch that has reported something does not survive a replacement.
        """
        for step in steps:
            self.head(self._deadline())
            yield step
            yield from steps

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
