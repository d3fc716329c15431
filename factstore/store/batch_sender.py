"""Sends a batch of transactions, and waits for the outcome of each."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

from factstore.core.errors import FactstoreError, OutcomeUnknown, TooLarge, Unavailable
from factstore.core.ports import Clock
from factstore.store.attempt_fence import AttemptFence
from factstore.store.batch_calls import TransactAll
from factstore.store.commit_batch import Entry, finish_all
from factstore.store.types import Fenced, LeaseExpired


class BatchSender:
    """Sends batches from a thread, which waits for etcd's response.

    :param transact_all: sends transactions as one, and returns which of them succeeded.
    :param fence: of all attempts; it learns of those that were lost.
    """

    def __init__(self, transact_all: TransactAll, fence: AttemptFence, clock: Clock) -> None:
        self._transact_all = transact_all
        self._fence = fence
        self._clock = clock

    def send(self, batch: Sequence[Entry]) -> None:
        """Send a batch; each entry gets an outcome or an error."""
        try:
            succeeded, revision = self._transact(batch)
        except (LeaseExpired, TooLarge) as error:
            if len(batch) == 1:
                batch[0].fail(error)
                return
            # One of them makes the whole batch fail, and nothing was written.
            for entry in batch:
                self.send([entry])
        except FactstoreError as error:
            for entry in batch:
                entry.fail(copy(error) if len(batch) > 1 else error)
        except Exception as error:  # noqa: BLE001 - the callers wait for an outcome
            for entry in batch:
                entry.fail(error)
        else:
            finish_all(batch, succeeded, revision)

    def _transact(self, batch: Sequence[Entry]) -> tuple[list[bool], int]:
        """Send a batch behind the fence, again if another worker has raised it."""
        txns = [entry.txn for entry in batch]
        deadline = max(entry.deadline for entry in batch)
        while True:
            fence = self._fence.current
            try:
                return self._transact_all(txns, deadline, fence)
            except OutcomeUnknown:
                self._fence.lose(fence)
                raise
            except Fenced as error:
                self._fence.note(fence, error.revision)
                if self._clock.monotonic() >= deadline:
                    raise Unavailable("The store did not answer in time.") from error
