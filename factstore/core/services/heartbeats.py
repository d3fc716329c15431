"""The age of a member's last heartbeat.

A heartbeat makes no revision, so neither the member nor the state of this worker has its time.  The
store knows it from whichever worker has received it.
"""

from __future__ import annotations

import math

from factstore.core.model.fact import Scope
from factstore.core.model.member import Member
from factstore.core.model.path import check_name, check_stack_name
from factstore.core.model.pulse import is_monitored, pulse_lease
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.operations.member_updates import member_missing
from factstore.core.services.base import Service


@quick_dataclass(frozen=True, slots=True)
class Heartbeat:
    """The last heartbeat of a member, or its join.

    :param age: whole seconds; None if the member has not joined yet, or is about to expire.
    """

    member: Member
    age: int | None


class HeartbeatService(Service):
    """The service for the ages of heartbeats."""

    def get(self, scope: Scope, name: str) -> Heartbeat:
        """Return the last heartbeat of a living member.

        :raises NotFound: no living member has that name.
        """
        check_stack_name(scope.stack)
        check_name(name, "member")
        member = self._state().member(scope, name)
        if member is None:
            raise member_missing(scope, name)
        if member.declared_only:
            return Heartbeat(member, None)
        lease = pulse_lease(member.lease) if is_monitored(member.lease) else member.lease
        age = self._store.seconds_since_renewal(lease, self._deadline())
        return Heartbeat(member, None if math.isinf(age) else int(age))
