"""Writing facts: one or many, guarded, in one revision."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from factstore.core.errors import Forbidden, Invalid, TooLarge
from factstore.core.model.data_key import DATA_KEY, DataKey
from factstore.core.model.fact import Author, Delete, Fact, Put, Scope
from factstore.core.model.fact_result import FactResult
from factstore.core.model.path import quoted
from factstore.core.model.precondition import Precondition
from factstore.core.model.receipt import Receipt
from factstore.core.model.record import RecordKey
from factstore.core.operations.encryption import Encryption
from factstore.core.operations.fencing import MemberFence
from factstore.core.operations.idempotency import (
    Idempotency,
    key_reused,
    new_receipt,
    results_of,
)
from factstore.core.operations.operation import Draft, LeaseRequest, Operation, View
from factstore.core.operations.tree import check_tree

BATCH_OPERATIONS = 100  # operations and guards together; etcd takes 128 compares in one transaction
BATCH_BYTES = 1024 * 1024  # etcd takes 1.5 MiB in one request


def check_batch(
    guards: Sequence[tuple[str, Precondition]], requests: Sequence[Put | Delete]
) -> None:
    """Refuse a batch that no state could accept.

    :raises Invalid: ``batch_empty`` or ``batch_duplicate_path``.
    :raises TooLarge: ``batch_too_large``.
    """
    if not requests:
        raise Invalid("the batch has no operations; send at least one.", code="batch_empty")
    if len(guards) + len(requests) > BATCH_OPERATIONS:
        raise TooLarge(
            f"the batch has {len(guards) + len(requests)} guards and operations; "
            f"at most {BATCH_OPERATIONS} are allowed together.",
            code="batch_too_large",
        )
    size = sum(len(put.text) + len(put.path) for put in requests if isinstance(put, Put))
    if size > BATCH_BYTES:
        raise TooLarge(
            f"the batch's values and paths are {size} characters as canonical JSON; "
            f"at most {BATCH_BYTES} are allowed together.",
            code="batch_too_large",
        )
    seen: set[str] = set()
    for request in requests:
        if request.path in seen:
            raise Invalid(
                f"two operations name {quoted(request.path)}; a batch changes a path once.",
                code="batch_duplicate_path",
            )
        seen.add(request.path)


@dataclass(slots=True)
class WriteFacts(Operation[tuple[FactResult, ...]]):
    """Put and delete facts, all or nothing; a single write is a batch of one.

    The outcome has a result for each request, in order.

    :param guards: preconditions by path, judged before anything else.
    :param fences: generations of members; all must be alive.
    :param creates_stack: whether a missing stack is created.
    """

    scope: Scope
    requests: Sequence[Put | Delete]
    guards: Sequence[tuple[str, Precondition]]
    author: Author
    encryption: Encryption
    idempotency: Idempotency | None = None
    fences: Collection[str] = ()
    creates_stack: bool = True
    _sensitive: bool = field(init=False)

    def __post_init__(self) -> None:
        self._sensitive = any(isinstance(each, Put) and each.sensitive for each in self.requests)

    def plan(self, view: View) -> Draft[tuple[FactResult, ...]]:
        """Return the draft of the batch.

        :raises PreconditionFailed: a guard does not hold.
        :raises NotFound: the stack is missing and may not be created.
        :raises Forbidden: ``parameter_protected``.
        :raises Conflict: ``path_is_folder``, ``path_below_fact``, or a fence does not hold.
        :raises Unavailable: ``sealing_unavailable`` or ``seal_broken``.
        """
        requests: Sequence[Put | Delete] = self.requests
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
        if self._sensitive:
            sealed = self.encryption.seal(
                stack, _data_key(view), requests, known, self.author.reader
            )
            requests, guards_on_key, data_keys = sealed.requests, sealed.guards, sealed.records
        results = [
            self._result(request, known[request.path], members, view) for request in requests
        ]
        deleted = [result.path for result in results if result.outcome == "deleted"]
        puts = tuple([r.fact for r in results if r.fact and r.outcome in ("created", "updated")])
        check_tree(view, [r.path for r in results if r.outcome == "created"], set(deleted))
        leases, left = _leases(puts, deleted, known)
        return Draft(
            tuple(results),
            puts=puts,
            deletes=tuple(deleted),
            fact_revisions={path: fact.revision if fact else 0 for path, fact in known.items()},
            records=data_keys,
            record_revisions={**members.guards, **guards_on_key},
            leases=leases,
            renews=tuple(
                [
                    r.fact.lease
                    for r in results
                    if r.outcome == "unchanged" and r.fact and r.fact.ttl is not None
                ]
            ),
            ends=left,
        )

    def _result(
        self, request: Put | Delete, known: Fact | None, members: MemberFence, view: View
    ) -> FactResult:
        lease = members.lease(request, known) if isinstance(request, Put) else 0
        touches_parameter = (known is not None and known.kind == "parameter") or (
            isinstance(request, Put) and request.kind == "parameter"
        )
        author = self.author
        if touches_parameter and not author.may_set_parameters:
            raise Forbidden(
                f"{quoted(request.path)} is, or would become, a parameter; only the stack's owners "
                "set parameters.",
                code="parameter_protected",
            )
        if isinstance(request, Delete):
            return FactResult(request.path, "deleted" if known else "absent")
        if known is not None and request.same_as(known, lease):
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
            sealed=request.sealed,
            readers=request.readers,
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
        if not self._sensitive:
            return plain
        if data_key is None:
            raise key_reused()  # the stack or its data key was removed meanwhile
        fingerprint = self.encryption.fingerprint(view.stack, data_key, plain.fingerprint)
        return replace(plain, fingerprint=fingerprint)


def _data_key(view: View) -> DataKey | None:
    record = view.record(DATA_KEY)
    return record if isinstance(record, DataKey) else None


def _leases(
    puts: Sequence[Fact], deletes: Sequence[str], known: Mapping[str, Fact | None]
) -> tuple[dict[str | RecordKey, LeaseRequest], tuple[int, ...]]:
    """Return the lease requests of facts with a ttl, and the leases that the facts may leave.

    A fact of a member is on the member's lease, which is not the fact's to end.
    """
    requests: dict[str | RecordKey, LeaseRequest] = {}
    left = []
    for path in (*[fact.path for fact in puts], *deletes):
        before = known[path]
        if before is not None and before.ttl is not None:
            left.append(before.lease)  # revoked unless it is kept
    for fact in puts:
        before = known[fact.path]
        if fact.ttl is not None:
            keep = before.lease if before is not None and before.ttl == fact.ttl else 0
            requests[fact.path] = LeaseRequest(fact.ttl, keep)
    return requests, tuple(left)
