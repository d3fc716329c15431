"""The writes about waits: the blocked reads of a worker, and the report that a stack is stuck."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from factstore.core.model.blocked_reads import BlockedReads
from factstore.core.model.fact import Scope
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.stuck_report import STUCK_REPORT, StuckReport
from factstore.core.operations.operation import Draft, LeaseRequest, Operation, View


@quick_dataclass(slots=True)
class ShareBlockedReads(Operation[BlockedReads]):
    """Store the blocked reads of a worker, on its lease; the outcome is the record.

    :param ttl: of a new lease, if that of the record has ended.
    """

    counts_toward_quota: ClassVar[bool] = False

    scope: Scope
    reads: BlockedReads
    ttl: int
    author: None = None

    def plan(self, view: View) -> Draft[BlockedReads]:
        """Return the draft; it is empty if the same is stored, or the stack does not exist."""
        key = self.reads.record_key
        known = view.record(key)
        if view.stack_state is None or (
            known is not None and replace(self.reads, revision=known.revision) == known
        ):
            return Draft(self.reads)
        return Draft(
            self.reads,
            records=(self.reads,),
            record_revisions={key: known.revision if known else 0},
            leases={key: LeaseRequest(self.ttl, keep=self.reads.lease)},
        )


@quick_dataclass(slots=True)
class WithdrawBlockedReads(Operation[None]):
    """Delete the record of a worker that has no blocked reads of the stack any more."""

    counts_toward_quota: ClassVar[bool] = False

    scope: Scope
    reads: BlockedReads
    author: None = None

    def plan(self, view: View) -> Draft[None]:
        """Return the draft; it is empty if the record does not exist."""
        key = self.reads.record_key
        known = view.record(key)
        if known is None:
            return Draft(None)
        return Draft(None, removes=(key,), record_revisions={key: known.revision})


@quick_dataclass(slots=True)
class ReportStuck(Operation[bool]):
    """Report that a stack is stuck, which makes an event; the outcome is whether this write did it.

    :param stack_id: the stack that was examined.
    """

    counts_toward_quota: ClassVar[bool] = False

    scope: Scope
    stack_id: str
    since: str
    reason: str
    author: None = None

    def plan(self, view: View) -> Draft[bool]:
        """Return the draft; it is empty if another worker has reported it."""
        if (
            view.stack_state is None
            or view.stack.id != self.stack_id
            or view.record(STUCK_REPORT) is not None
        ):
            return Draft(False)
        report = StuckReport(self.since, self.reason, view.now)
        return Draft(True, records=(report,), record_revisions={STUCK_REPORT: 0})


@quick_dataclass(slots=True)
class WithdrawStuck(Operation[bool]):
    """Report that a stack is not stuck any more; the outcome is whether this write did it."""

    counts_toward_quota: ClassVar[bool] = False

    scope: Scope
    report: StuckReport
    author: None = None

    def plan(self, view: View) -> Draft[bool]:
        """Return the draft; it is empty if another worker has withdrawn the report."""
        known = view.record(STUCK_REPORT)
        if known is None or known.revision != self.report.revision:
            return Draft(False)
        return Draft(True, removes=(STUCK_REPORT,), record_revisions={STUCK_REPORT: known.revision})
