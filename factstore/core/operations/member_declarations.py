"""Saying that a member exists, before it speaks for itself or beside that.

Who declares is never the member: what a living member says stays as it is.  Nor does it make a stack:
it often hears late of what it tells, and would bring back one that is deleted.
"""

from __future__ import annotations

import secrets
from typing import Any

from factstore.core.errors import NotFound
from factstore.core.model.member import Member
from factstore.core.model.path import quoted
from factstore.core.model.quota import Quota
from factstore.core.operations.fact_plan import Plan
from factstore.core.operations.member_updates import declared_otherwise
from factstore.core.operations.members import JoinMember, JoinOutcome
from factstore.core.state.state import State

_NUMBER_BITS = 62  # as the store numbers its leases


class DeclareMember(JoinMember):
    """Declaring a member; its wish says as what.

    It hangs on no lease: one that never ends would be left over whenever something fails half-way.
    """

    def __init__(self, *what: Any) -> None:
        super().__init__(*what)
        self._number = secrets.randbits(_NUMBER_BITS) + 1

    def plan(self, state: State, quota: Quota) -> Plan:
        plan = super().plan(state, quota)
        if plan.commit.creates_stack:
            raise NotFound(f"there is no stack named {quoted(self.scope.stack)}.")
        return plan

    def decide(self, living: Member | None) -> tuple[JoinOutcome, Member]:
        declared = self._wish.declared
        if living is None:
            return "created", self.newcomer(None, declared=declared, number=self._number)
        if living.declared is None:
            noted = self.changed(
                living,
                group=living.group,
                attributes=living.attributes,
                declared=declared,
                told=living.news,
            )
            return "updated", noted
        if living.declared != declared:
            raise declared_otherwise(living)
        return self.unless_same(living) if living.awaited else ("unchanged", living)

    def confirm(self, plan: Plan) -> bool:
        return True  # it is not the declarer's to keep a member alive
