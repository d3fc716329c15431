"""Reporting that a path is changed again and again."""

from __future__ import annotations

from typing import ClassVar

from factstore.core.model.fact import Scope
from factstore.core.model.flapping_report import CALM_SECONDS, FlappingReport
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.operations.operation import Draft, LeaseRequest, Operation, View


@quick_dataclass(slots=True)
class ReportFlapping(Operation[bool]):
    """Report a path once, or keep its report alive; the outcome is whether it is new."""

    counts_toward_quota: ClassVar[bool] = False

    scope: Scope
    report: FlappingReport
    author: None = None

    def plan(self, view: View) -> Draft[bool]:
        """Return the draft."""
        if view.stack_state is None:
            return Draft(False)
        key = self.report.record_key
        known = view.record(key)
        if known is not None:
            return Draft(False, record_revisions={key: known.revision}, renews=(known.lease,))
        return Draft(
            True,
            records=(self.report,),
            record_revisions={key: 0},
            leases={key: LeaseRequest(CALM_SECONDS)},
        )
