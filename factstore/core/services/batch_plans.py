"""Dry runs of batches, and batches that do exactly what a dry run has said."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from factstore.core.model.batch_plan import BatchPlan
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Author, Delete, DeletePrefix, Put, Scope
from factstore.core.model.path import check_path, check_stack_name
from factstore.core.model.precondition import Precondition
from factstore.core.operations.batch_plans import Preview, PreviewFacts, WritePlannedFacts
from factstore.core.operations.batches import check_batch
from factstore.core.operations.encryption import Encryption
from factstore.core.operations.facts import WriteFacts
from factstore.core.operations.idempotency import Idempotency
from factstore.core.operations.transactor import Transactor
from factstore.core.ports import Clock, Store
from factstore.core.services.base import Service
from factstore.core.services.written_facts import WrittenFacts

Requests = Sequence[Put | Delete | DeletePrefix]
Guards = Sequence[tuple[str, Precondition]]


class BatchPlanService(Service):
    """The service for plans of batches."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        timeout: float,
        transactor: Transactor,
        encryption: Encryption,
    ) -> None:
        super().__init__(store, clock, timeout, transactor)
        self._encryption = encryption

    def preview(
        self,
        scope: Scope,
        requests: Requests,
        guards: Guards,
        author: Author,
        *,
        fences: Collection[str] = (),
    ) -> tuple[Preview, Cursor]:
        """Return what a batch would do, and the cursor of the state that was read; write nothing.

        :raises FactstoreError: the refusal of the batch.
        """
        create = _checked(scope, requests, guards)
        write = WriteFacts(scope, requests, guards, author, self._encryption, None, fences, create)
        return self._transactor.preview(PreviewFacts(write))

    def apply(
        self,
        plan: BatchPlan,
        scope: Scope,
        requests: Requests,
        guards: Guards,
        author: Author,
        idempotency: Idempotency | None = None,
        *,
        fences: Collection[str] = (),
    ) -> WrittenFacts:
        """Carry a batch out if it does what its plan says.

        :raises PreconditionFailed: ``plan_outdated``: something that it depends on has changed.
        :raises Conflict: ``plan_mismatch``: the plan is that of another batch.
        """
        create = _checked(scope, requests, guards)
        self._state()  # guards cover only a part of what the plan depends on
        write = WritePlannedFacts(
            scope,
            requests,
            guards,
            author,
            self._encryption,
            idempotency,
            fences,
            create,
            expected=plan,
        )
        return WrittenFacts.of(self._transactor.run(write))


def _checked(scope: Scope, requests: Requests, guards: Guards) -> bool:
    """Check what no state could accept; return True if the batch may create its stack."""
    check_batch(guards, requests)
    check_stack_name(scope.stack)
    for path in [*[request.path for request in requests], *[path for path, _ in guards]]:
        check_path(path)
    return any(isinstance(request, Put) for request in requests)
