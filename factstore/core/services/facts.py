"""Facts: reading one, waiting for one, listing, and writing one or many."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from factstore.core.errors import Forbidden, SealBroken
from factstore.core.model.cursor import Cursor
from factstore.core.model.data_key import DATA_KEY, DataKey
from factstore.core.model.fact import Author, Delete, DeletePrefix, Fact, Put, Scope, Stack
from factstore.core.model.path import check_path, check_paths, check_stack_name, quoted
from factstore.core.model.permissions import OWNER, Permissions
from factstore.core.model.precondition import Precondition
from factstore.core.model.secret_readers import SecretReader
from factstore.core.model.wait import Party
from factstore.core.operations.batches import check_batch
from factstore.core.operations.encryption import Encryption
from factstore.core.operations.facts import WriteFacts
from factstore.core.operations.idempotency import Idempotency
from factstore.core.operations.keyring import NoKeyring
from factstore.core.operations.operation import stack_missing
from factstore.core.operations.transactor import Transactor
from factstore.core.ports import Clock, EventSource, Store
from factstore.core.services.base import Page, check_page_cursor, paginate
from factstore.core.services.blocked_reads import BlockedReadRegistry
from factstore.core.services.event_service import EventService
from factstore.core.services.readable_facts import fact_missing, readable_paths
from factstore.core.services.views import FactView
from factstore.core.services.written_facts import FactAttempt, WrittenFacts


def check_reader(fact: Fact, reader: SecretReader) -> None:
    """Raise Forbidden if a reader may not see a sensitive fact's value."""
    if not reader.may_reveal(fact.path, fact.readers):
        raise Forbidden(
            f"{quoted(fact.path)} is sensitive: neither policy nor its readers allow you to see "
            "its value."
        )


class FactService(EventService):
    """The service for facts."""

    def __init__(
        self,
        store: Store,
        events: EventSource,
        clock: Clock,
        timeout: float,
        transactor: Transactor,
        encryption: Encryption = Encryption(NoKeyring()),  # noqa: B008 - it has no state
        blocked_reads: BlockedReadRegistry | None = None,
    ) -> None:
        super().__init__(store, events, clock, timeout, transactor)
        self._encryption = encryption
        self._blocked_reads = blocked_reads or BlockedReadRegistry(clock)

    def get(
        self,
        scope: Scope,
        path: str,
        *,
        wait: float = 0,
        unless: Callable[[FactView], bool] | None = None,
        stale: bool = False,
        permissions: Permissions = OWNER,
        reader: Party | None = None,
    ) -> FactView:
        """Return a fact; wait for it.

        :param wait: seconds to block while the fact is missing; with *unless*, while *unless* is true.
        :param stale: read this worker's state, without reading the database.
        :param permissions: of the caller; the error counts no facts that it may not read.
        :param reader: the caller, to show for which missing fact it waits; None not to show it.
        :return: the fact; after *wait* seconds *unless* may still be true for it.
        :raises NotFound: it does not exist; at once with *unless*, because its deletion is a change.
        """
        check_stack_name(scope.stack)
        check_path(path)
        found = None
        query = self._query(scope)
        shown = reader if wait and unless is None else None
        with self._blocked_reads.reading(scope, path, shown):
            for state in query.states(wait, stale=stale):
                fact = state.fact(scope, path)
                found = None if fact is None else FactView(fact, state.epoch)
                if found is None and unless is not None:
                    break
                if found is not None and (unless is None or not unless(found)):
                    return found
        if found is None:
            raise fact_missing(state, scope, path, permissions)
        return found

    def reveal(self, scope: Scope, path: str, reader: SecretReader) -> tuple[FactView, str]:
        """Return a fact as this worker knows it, and its value as canonical JSON.

        :raises Forbidden: the reader may not see it.
        :raises NotFound: it was deleted.
        :raises SealBroken: the value cannot be opened.
        """
        try:
            return self._revealed(scope, path, reader)
        except SealBroken:
            # Its key may just have been retired; the data key was wrapped again then.
            self._store.refresh(self._deadline())
            return self._revealed(scope, path, reader)

    def _revealed(self, scope: Scope, path: str, reader: SecretReader) -> tuple[FactView, str]:
        state = self._store.state()
        with state.read():
            stack, fact = state.stack(scope), state.fact(scope, path)
            data_key = state.record(scope, DATA_KEY)
        if stack is None or fact is None:
            raise fact_missing(state, scope, path, OWNER)
        if not fact.sensitive:
            return FactView(fact, state.epoch), fact.text
        check_reader(fact, reader)
        known = data_key if isinstance(data_key, DataKey) else None
        return FactView(fact, state.epoch), self._encryption.open(stack, known, fact)

    def list(
        self,
        scope: Scope,
        *,
        prefix: str = "",
        limit: int,
        marker: str = "",
        at: Cursor | None = None,
        permissions: Permissions = OWNER,
    ) -> Page[Fact]:
        """Return a page of facts, ordered by path.

        :param permissions: of the caller; facts that it may not read are left out.
        :param at: the cursor of the first page, so that all pages show one revision.
        :raises CursorExpired: the pages' revision is compacted; list again from the first page.
        """
        check_stack_name(scope.stack)
        for path, what in ((prefix, "prefix"), (marker, "marker")):
            if path:
                check_path(path, what=what)
        state = self._state()
        with state.read():
            stack_state = state.stack_state(scope)
            if stack_state is None:
                raise stack_missing(scope)
            stack, facts, now = stack_state.stack, stack_state.facts, state.cursor
            if at is None or at == now:
                paths = readable_paths(stack_state, prefix, marker, permissions)
                found = (facts[path] for path in paths)
                return paginate(found, limit, lambda fact: fact.path, now)
        check_page_cursor(at, now, stack.created)
        then = self._at(stack, prefix, marker, limit + 1, at.revision, permissions)
        self._check_same_store(at)
        return paginate(then, limit, lambda fact: fact.path, at)

    def _at(
        self,
        stack: Stack,
        prefix: str,
        marker: str,
        limit: int,
        revision: int,
        permissions: Permissions,
    ) -> Sequence[Fact]:
        """Return the facts of :meth:`Store.facts_at` that the caller may read."""
        found: list[Fact] = []
        while len(found) < limit:
            read = self._store.facts_at(stack, prefix, marker, limit, revision, self._deadline())
            found += [fact for fact in read if permissions.can_read(fact.path)]
            if len(read) < limit:
                break
            marker = read[-1].path
        return found[:limit]

    def put(
        self,
        scope: Scope,
        put: Put,
        author: Author,
        precondition: Precondition,
        idempotency: Idempotency | None = None,
        *,
        fences: Collection[str] = (),
    ) -> WrittenFacts:
        """Store a fact; create its stack if it does not exist."""
        guards = [(put.path, precondition)]
        return self.write(scope, [put], guards, author, idempotency, fences=fences)

    def start_puts(
        self,
        scope: Scope,
        puts: Sequence[Put],
        author: Author,
        ended: Callable[[FactAttempt], object],
        *,
        fences: Collection[str] = (),
    ) -> FactAttempt | None:
        """Start to store facts in one revision without waiting; return None if that is not possible.

        :param ended: called with the attempt; :meth:`written` returns its results.
        """
        check_batch((), puts)
        check_stack_name(scope.stack)
        check_paths([put.path for put in puts])
        operation = WriteFacts(scope, puts, (), author, self._encryption, fences=fences)
        return self._transactor.start(operation, ended)

    def start_put(
        self,
        scope: Scope,
        put: Put,
        author: Author,
        ended: Callable[[FactAttempt], object],
        *,
        fences: Collection[str] = (),
    ) -> FactAttempt | None:
        """Do as :meth:`start_puts` for one fact, whose path and stack have valid names."""
        operation = WriteFacts(scope, (put,), (), author, self._encryption, fences=fences)
        return self._transactor.start(operation, ended)

    def written(self, attempt: FactAttempt) -> WrittenFacts:
        """Return the results of an attempt that has ended; if it failed, carry the write out."""
        if attempt.revision is not None:
            transaction, revision = attempt.transaction, attempt.revision
            epoch = transaction.epoch
            return WrittenFacts.at(attempt.draft.outcome, epoch, revision, transaction)
        return WrittenFacts.of(self._transactor.resume(attempt))

    def delete(
        self,
        scope: Scope,
        path: str,
        author: Author,
        precondition: Precondition,
        idempotency: Idempotency | None = None,
        *,
        fences: Collection[str] = (),
    ) -> WrittenFacts:
        """Delete a fact.

        :raises NotFound: it does not exist.
        """
        written = self.write(
            scope,
            [Delete(path)],
            [(path, precondition)],
            author,
            idempotency,
            fences=fences,
            create=False,
        )
        if written.results[0].outcome == "absent":
            raise fact_missing(self._store.state(), scope, path, OWNER)
        return written

    def batch(
        self,
        scope: Scope,
        requests: Sequence[Put | Delete | DeletePrefix],
        guards: Sequence[tuple[str, Precondition]],
        author: Author,
        idempotency: Idempotency | None = None,
        *,
        fences: Collection[str] = (),
    ) -> WrittenFacts:
        """Carry out all requests in one revision if all guards are met, otherwise none."""
        check_batch(guards, requests)
        create = any(isinstance(request, Put) for request in requests)
        return self.write(
            scope, requests, guards, author, idempotency, fences=fences, create=create
        )

    def write(
        self,
        scope: Scope,
        requests: Sequence[Put | Delete | DeletePrefix],
        guards: Sequence[tuple[str, Precondition]],
        author: Author,
        idempotency: Idempotency | None,
        *,
        fences: Collection[str] = (),
        create: bool = True,
    ) -> WrittenFacts:
        """Carry out a write, and return the results as stored.

        :param fences: generations of members; all must be alive.
        :param create: True to create a missing stack.
        """
        check_stack_name(scope.stack)
        check_paths([request.path for request in requests] + [path for path, _ in guards])
        done = self._transactor.run(
            WriteFacts(
                scope, requests, guards, author, self._encryption, idempotency, fences, create
            )
        )
        return WrittenFacts.of(done)
