"""Facts: reading one, waiting for one, listing, and writing one or many."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from factstore.core.errors import Forbidden, NotFound, SealBroken
from factstore.core.model.cursor import Cursor
from factstore.core.model.data_key import DATA_KEY, DataKey
from factstore.core.model.fact import Author, Delete, Fact, Put, Scope, Stack
from factstore.core.model.path import check_path, check_stack_name, quoted
from factstore.core.model.permissions import OWNER, Permissions
from factstore.core.model.precondition import Precondition
from factstore.core.model.secret_readers import SecretReader
from factstore.core.operations.encryption import Encryption
from factstore.core.operations.fact_plan import check_batch
from factstore.core.operations.facts import Write, Writer, Written
from factstore.core.operations.idempotency import Idempotency
from factstore.core.operations.keyring import NoKeyring
from factstore.core.operations.transactor import Transactor
from factstore.core.ports import Clock, EventSource, Store
from factstore.core.services.blocking_query import check_age, states


@dataclass(frozen=True, slots=True)
class Page:
    """Facts in order of their paths, as all stood at one revision.

    :param cursor: where to watch from so as to miss nothing.
    :param marker: the path to continue after; None on the last page.
    """

    facts: tuple[Fact, ...]
    cursor: Cursor
    marker: str | None


def check_reader(fact: Fact, reader: SecretReader) -> None:
    """Refuse who may not see a sensitive fact's value.

    :raises Forbidden: they may not.
    """
    if not reader.may_open(fact.path, fact.readers):
        raise Forbidden(
            f"{quoted(fact.path)} is sensitive: neither policy nor its readers let you see its value."
        )


class FactService:
    """The service for facts.

    :param new_stack: makes the record of a stack that a first write creates.
    :param timeout: seconds after which a call to the store counts as failed.
    """

    def __init__(
        self,
        store: Store,
        events: EventSource,
        clock: Clock,
        new_stack: Callable[[Scope, Author], Stack],
        timeout: float,
        carrier: Transactor,
        sealing: Encryption = Encryption(NoKeyring()),  # noqa: B008 - it has no state
    ) -> None:
        self._store = store
        self._events = events
        self._clock = clock
        self._new_stack = new_stack
        self._timeout = timeout
        self._sealing = sealing
        self._writer = Writer(store, clock, carrier, sealing)

    def etag(self, fact: Fact) -> str:
        """The fact's strong entity tag, without quotes."""
        return fact.etag(self._store.epoch)

    def cursor(self, revision: int) -> Cursor:
        """The cursor that stands for a revision of this store."""
        return Cursor(self._store.epoch, revision)

    def get(
        self,
        scope: Scope,
        path: str,
        *,
        wait: float = 0,
        unless: Callable[[Fact], bool] | None = None,
        stale: bool = False,
    ) -> Fact:
        """Read a fact; wait for it.

        :param wait: seconds to block while the fact is missing, or with *unless*, while it is there
            and *unless* holds of it.
        :param stale: accept what is known here, without asking the database.
        :return: the fact; *unless* may still hold of it when the time is over.
        :raises NotFound: there is none; at once if change was waited for, since its going is one.
        """
        check_stack_name(scope.stack)
        check_path(path)
        fact = None
        for state in states(
            self._store,
            self._events,
            self._clock,
            scope,
            wait=wait,
            timeout=self._timeout,
            stale=stale,
        ):
            fact = state.fact(scope, path)
            if fact is None and unless is not None:
                break
            if fact is not None and (unless is None or not unless(fact)):
                return fact
        if fact is None:
            raise NotFound(
                f"there is no fact at {quoted(path)} in a stack named {quoted(scope.stack)}."
            )
        return fact

    def reveal(self, scope: Scope, fact: Fact, reader: SecretReader) -> tuple[Fact, str]:
        """A sensitive fact that was read, and its value as canonical JSON.

        :return: the fact as it is now, be it that it changed meanwhile, and its value.
        :raises Forbidden: the reader may not see it.
        :raises NotFound: it is gone.
        :raises SealBroken: it does not open.
        """
        try:
            return self._revealed(scope, fact.path, reader)
        except SealBroken:
            # Perhaps by a key that has just been taken out of use; the stack's seal was renewed then.
            self._store.refresh(self._deadline())
            return self._revealed(scope, fact.path, reader)

    def _revealed(self, scope: Scope, path: str, reader: SecretReader) -> tuple[Fact, str]:
        state = self._store.state()
        with state.read():
            stack, fact = state.stack(scope), state.fact(scope, path)
            seal = state.record(scope, DATA_KEY)
        if stack is None or fact is None:
            raise NotFound(
                f"there is no fact at {quoted(path)} in a stack named {quoted(scope.stack)}."
            )
        if not fact.sensitive:
            return fact, fact.text
        check_reader(fact, reader)
        return fact, self._sealing.open(stack, seal if isinstance(seal, DataKey) else None, fact)

    def list(
        self,
        scope: Scope,
        *,
        prefix: str = "",
        limit: int,
        marker: str = "",
        at: Cursor | None = None,
        reach: Permissions = OWNER,
    ) -> Page:
        """A page of facts by path.

        :param reach: of the caller; what it does not see is left out.
        :param at: the cursor of the first page, so that all pages show one revision.
        :raises CursorExpired: the pages' revision is compacted: begin anew.
        """
        check_stack_name(scope.stack)
        for path, what in ((prefix, "prefix"), (marker, "marker")):
            if path:
                check_path(path, what=what)
        state = self._store.refresh(self._deadline())
        contents = state.contents(scope, prefix)
        if contents is None:
            raise NotFound(f"there is no stack named {quoted(scope.stack)}.")
        if at is None or at == (self._store.epoch, contents.revision):
            seen = [f for f in contents.facts if f.path > marker and reach.sees(f.path)]
            found: Sequence[Fact] = seen[: limit + 1]
            revision = contents.revision
        else:
            check_age(at, self._store.epoch, contents.revision, contents.stack.created)
            revision = at.revision
            found = self._at(contents.stack, prefix, marker, limit + 1, revision, reach)
        rest = found[limit - 1].path if len(found) > limit else None
        return Page(tuple(found[:limit]), self.cursor(revision), rest)

    def _at(
        self, stack: Stack, prefix: str, marker: str, limit: int, revision: int, reach: Permissions
    ) -> Sequence[Fact]:
        """As :meth:`Store.facts_at`, of those that are seen."""
        found: list[Fact] = []
        while len(found) < limit:
            read = self._store.facts_at(stack, prefix, marker, limit, revision, self._deadline())
            found += [fact for fact in read if reach.sees(fact.path)]
            if len(read) < limit:
                break
            marker = read[-1].path
        return found[:limit]

    def put(
        self,
        scope: Scope,
        wish: Put,
        author: Author,
        precondition: Precondition,
        idempotency: Idempotency | None = None,
        *,
        fences: Collection[str] = (),
    ) -> Written:
        """Store a fact, creating its stack if need be."""
        guards = [(wish.path, precondition)]
        return self.write(scope, [wish], guards, author, idempotency, fences=fences)

    def delete(
        self,
        scope: Scope,
        path: str,
        author: Author,
        precondition: Precondition,
        idempotency: Idempotency | None = None,
        *,
        fences: Collection[str] = (),
    ) -> Written:
        """Remove a fact.

        :raises NotFound: there is none.
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
            raise NotFound(
                f"there is no fact at {quoted(path)} in a stack named {quoted(scope.stack)}."
            )
        return written

    def batch(
        self,
        scope: Scope,
        wishes: Sequence[Put | Delete],
        guards: Sequence[tuple[str, Precondition]],
        author: Author,
        idempotency: Idempotency | None = None,
        *,
        fences: Collection[str] = (),
    ) -> Written:
        """Carry out all wishes in one revision if all guards hold, else nothing."""
        check_batch(guards, wishes)
        create = any(isinstance(wish, Put) for wish in wishes)
        return self.write(scope, wishes, guards, author, idempotency, fences=fences, create=create)

    def write(
        self,
        scope: Scope,
        wishes: Sequence[Put | Delete],
        guards: Sequence[tuple[str, Precondition]],
        author: Author,
        idempotency: Idempotency | None,
        *,
        fences: Collection[str] = (),
        create: bool = True,
    ) -> Written:
        """Check the names and carry the write through; see :class:`Writer`.

        :param fences: generations of members; it happens only while all of them live.
        """
        check_stack_name(scope.stack)
        for path in [wish.path for wish in wishes] + [path for path, _ in guards]:
            check_path(path)
        new_stack = (lambda: self._new_stack(scope, author)) if create else None
        return self._writer.run(
            Write(scope, wishes, guards, author, new_stack, idempotency, self._deadline(), fences)
        )

    def _deadline(self) -> float:
        return self._clock.monotonic() + self._timeout
