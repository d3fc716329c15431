"""Writing facts: one or many, guarded, in one revision."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from factstore.core.model.data_key import DATA_KEY, DataKey
from factstore.core.model.fact import Author, Delete, DeletePrefix, Fact, Put, Scope
from factstore.core.model.fact_result import FactOutcome, FactResult
from factstore.core.model.path import quoted
from factstore.core.model.precondition import Precondition
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.receipt import Receipt
from factstore.core.model.record import RecordKey
from factstore.core.operations.batches import Expansion, expand, parameter_protected
from factstore.core.operations.encryption import Encryption
from factstore.core.operations.fencing import MemberFence
from factstore.core.operations.idempotency import (
    Idempotency,
    key_reused,
    new_receipt,
    results_of,
)
from factstore.core.operations.kept_values import keep
from factstore.core.operations.operation import Draft, LeaseRequest, Operation, View
from factstore.core.operations.pulses import guard_on_endings, is_ending, revive
from factstore.core.operations.tree import check_tree


@quick_dataclass(slots=True)
class WriteFacts(Operation[tuple[FactResult, ...]]):
    """Put and delete facts, all or nothing; a single write is a batch of one.

    The outcome has a result for each request, in order; one for all facts of a prefix.

    :param guards: preconditions by path, judged before anything else.
    :param fences: generations of members; all must be alive.
    :param creates_stack: whether a missing stack is created.
    :param obstacles: paths that are deleted to make room; the stack does not keep their values.
    """

    scope: Scope
    requests: Sequence[Put | Delete | DeletePrefix]
    guards: Sequence[tuple[str, Precondition]]
    author: Author
    encryption: Encryption
    idempotency: Idempotency | None = None
    fences: Collection[str] = ()
    creates_stack: bool = True
    obstacles: Collection[str] = ()

    @property
    def has_sensitive(self) -> bool:
        """True if it stores a sensitive fact."""
        return any(isinstance(each, Put) and each.sensitive for each in self.requests)

    def plan(self, view: View) -> Draft[tuple[FactResult, ...]]:
        """Return the draft of the batch.

        :raises PreconditionFailed: a guard does not hold.
        :raises NotFound: the stack is missing and may not be created.
        :raises Forbidden: ``parameter_protected``.
        :raises TooLarge: ``batch_too_large``.
        :raises Conflict: ``path_is_folder``, ``path_below_fact``, or a fence does not hold.
        :raises Unavailable: ``sealing_unavailable`` or ``seal_broken``.
        """
        expansions = expand(view, self.requests, len(self.guards), self.author)
        requests: Sequence[Put | Delete] = [
            *[each for each in self.requests if not isinstance(each, DeletePrefix)],
            *[Delete(path) for expansion in expansions.values() for path in expansion.paths],
        ]
        known = {request.path: view.fact(request.path) for request in requests}
        for path, precondition in self.guards:
            if path not in known:
                known[path] = view.fact(path)
            fact = known[path]
            etag = fact.etag(view.state.epoch) if fact is not None else None
            precondition.check(f"fact {quoted(path)}", etag, path=path)
        stack = view.stack
        members = MemberFence(view)
        for generation in self.fences:
            members.require(generation)
        data_keys: tuple[DataKey, ...] = ()
        guards_on_key: Mapping[RecordKey, int] = {}
        if self.has_sensitive:
            sealed = self.encryption.seal(
                stack, _data_key(view), requests, known, self.author.reader
            )
            requests, guards_on_key, data_keys = sealed.requests, sealed.guards, sealed.records
        results = [
            self._result(request, known[request.path], members, view) for request in requests
        ]
        deleted = [result.path for result in results if result.outcome == "deleted"]
        puts = tuple([r.fact for r in results if r.fact and r.outcome in ("created", "updated")])
        ended = [known[path] for path in deleted if path not in self.obstacles]
        kept = keep(view, puts, ended, self.author)
        check_tree(view, [r.path for r in results if r.outcome == "created"], set(deleted))
        leases, left, guards_on_leases = _leases(view, puts, deleted, known)
        renews = [
            r.fact.lease
            for r in results
            if r.outcome == "unchanged" and r.fact and r.fact.ttl is not None
        ]
        revival = revive(view, renews)
        return Draft(
            self._in_order(results, expansions),
            puts=puts,
            deletes=tuple(deleted),
            fact_revisions={path: fact.revision if fact else 0 for path, fact in known.items()},
            records=(*data_keys, *kept.records, *revival.records),
            removes=kept.removes,
            record_revisions={
                **members.guards,
                **guards_on_key,
                **guards_on_leases,
                **revival.record_revisions,
            },
            leases={**leases, **revival.leases},
            renews=tuple([lease for lease in renews if lease not in revival.restored]),
            ends=left,
            emptied=tuple([r.path for r, found in expansions.items() if not found.more]),
        )

    def _in_order(
        self, results: Sequence[FactResult], expansions: Mapping[DeletePrefix, Expansion]
    ) -> tuple[FactResult, ...]:
        """Return a result for each request, from those of the requests that are no prefixes."""
        single = iter(results)
        ordered = []
        for request in self.requests:
            if isinstance(request, DeletePrefix):
                found = expansions[request]
                outcome: FactOutcome = "deleted" if found.paths else "absent"
                ordered.append(
                    FactResult(request.path, outcome, deleted=len(found.paths), more=found.more)
                )
            else:
                ordered.append(next(single))
        return tuple(ordered)

    def _result(
        self, request: Put | Delete, known: Fact | None, members: MemberFence, view: View
    ) -> FactResult:
        lease = members.lease(request, known) if isinstance(request, Put) else 0
        touches_parameter = (known is not None and known.kind == "parameter") or (
            isinstance(request, Put) and request.kind == "parameter"
        )
        author = self.author
        if touches_parameter and not author.may_set_parameters:
            raise parameter_protected(request.path)
        if isinstance(request, Delete):
            return FactResult(request.path, "deleted" if known else "absent")
        if (
            known is not None
            and request.same_as(known, lease)
            and not (known.ttl is not None and is_ending(view, known.lease))
        ):
            return FactResult(request.path, "unchanged", known)
        fact = Fact(
            path=request.path,
            text=request.text,
            kind=request.kind,
            created_at=known.created_at if known else view.now,
            updated_at=view.now,
            updated_by=author.user_id,
            request_id=author.request_id,
            ttl=request.ttl,
            member=request.member,
            lease=lease,
            version=known.version + 1 if known else 1,
            created=known.created if known else 0,
            sealed=request.sealed,
            readers=request.readers,
            cause=author.cause_in(view.state.epoch),
        )
        return FactResult(request.path, "updated" if known else "created", fact)

    def to_receipt(self, view: View, draft: Draft[tuple[FactResult, ...]]) -> Receipt:
        """Return the receipt of the draft's results."""
        new = [record for record in draft.records if isinstance(record, DataKey)]
        idempotency = self._keyed(view, new[0] if new else _data_key(view))
        return new_receipt(idempotency, draft.outcome, self.author, view.now)

    def replay(self, receipt: Receipt, view: View) -> tuple[FactResult, ...]:
        """Return the results that the same request got before."""
        return results_of(receipt, self._keyed(view, _data_key(view)), self.requests)

    def _keyed(self, view: View, data_key: DataKey | None) -> Idempotency:
        """Return the request's key, with the fingerprint as it is stored."""
        assert self.idempotency is not None  # noqa: S101 - the transactor checked
        plain = self.idempotency
        if not self.has_sensitive:
            return plain
        if data_key is None:
            raise key_reused()  # the stack or its data key was removed meanwhile
        fingerprint = self.encryption.fingerprint(view.stack, data_key, plain.fingerprint)
        return replace(plain, fingerprint=fingerprint)


def _data_key(view: View) -> DataKey | None:
    record = view.record(DATA_KEY)
    return record if isinstance(record, DataKey) else None


def _leases(
    view: View, puts: Sequence[Fact], deletes: Sequence[str], known: Mapping[str, Fact | None]
) -> tuple[dict[str | RecordKey, LeaseRequest], tuple[int, ...], dict[RecordKey, int]]:
    """Return the lease requests of facts with a ttl, the leases that the facts may leave, and guards.

    One that was chosen to end is not kept, even if it can still be renewed.  A fact of a member is on
    the member's lease, which is not the fact's to end.
    """
    requests: dict[str | RecordKey, LeaseRequest] = {}
    guards: dict[RecordKey, int] = {}
    left = []
    for path in (*[fact.path for fact in puts], *deletes):
        before = known[path]
        if before is not None and before.ttl is not None:
            left.append(before.lease)  # revoked unless it is kept
    for fact in puts:
        before = known[fact.path]
        if fact.ttl is not None:
            keeps = before is not None and before.ttl == fact.ttl
            keep = before.lease if before and keeps and not is_ending(view, before.lease) else 0
            if keep:
                guards = guard_on_endings(view)
            requests[fact.path] = LeaseRequest(fact.ttl, keep, monitored=True)
    return requests, tuple(left), guards
