"""Which grant is shown: the one that was given or, if that is a group's, a grant of this member's own.

With a group's the agent gets the member's, and keeps it, so that it needs the group's no more until its
own is refused.  Nothing of either is ever logged but ids.
"""

from __future__ import annotations

import base64
import logging
import threading

from keystoneauth1.http_basic import HTTPBasicAuth
from keystoneauth1.session import Session

from factstore.agent.system.state_dir import GRANT, StateDir
from factstore.client import GrantRecord, Stack
from factstore.client.errors import Forbidden

LOG = logging.getLogger(__name__)


class Shown(HTTPBasicAuth):
    """What the service is shown: a grant, and from one request to the next another one.

    :param endpoint: the root of the service; None if others know it.
    :param token: ``<id>.<secret>``.
    """

    def __init__(self, endpoint: str | None, token: str) -> None:
        super().__init__(endpoint)
        self.token = token

    @property
    def grant(self) -> str:
        """The id of the grant."""
        return self.token.partition(".")[0]

    def get_token(self, session: Session) -> str | None:
        """User and password as HTTP has them."""
        return base64.b64encode(self.token.replace(".", ":", 1).encode()).decode()


class Enrolment:
    """Sees that what is shown is this member's own.  Threads may share it.

    :param shown: what is shown at present: the grant that was given.
    :param stack: the stack, as it is reached with the grant that was given.
    """

    def __init__(self, shown: Shown, stack: Stack, member: str, state: StateDir) -> None:
        self._shown = shown
        self._given = shown.grant, shown.token
        self._stack = stack
        self._member = member
        self._state = state
        self._lock = threading.Lock()
        kept = state.read(GRANT) or {}
        token = kept.get("token")
        self.own = kept.get("with") == shown.grant and isinstance(token, str)
        self._settled = self.own
        if self.own:
            shown.token = str(token)

    @property
    def token(self) -> str:
        """What is shown at present.  It is a secret."""
        return self._shown.token

    @property
    def grant(self) -> str:
        """The id of what is shown at present."""
        return self._shown.grant

    def ensure(self) -> None:
        """Enrol, if what was given is a group's and that was not done.

        :raises Forbidden: somebody else is known by the member's name.
        :raises Unauthorized: what was given does not hold.
        :raises FactstoreError: not now.
        """
        with self._lock:
            if self._settled:
                return
            try:
                given = self._stack.grant(self._given[0]).show()
            except Forbidden:  # operators may have it so: then nobody enrols
                given = None
            if given is not None and given.role == "agent" and given.member is None:
                self._enrol(given)
            self._settled = True

    def refused(self) -> bool:
        """What is shown does not hold, says the service; whether that is a member's own, which is not
        shown any more."""
        with self._lock:
            if not self.own:
                return False
            LOG.warning("the grant of %s does not hold any more; it enrols anew", self._member)
            self._shown.token, self.own, self._settled = self._given[1], False, False
            self._state.forget(GRANT)
            return True

    def _enrol(self, given: GrantRecord) -> None:
        issued = self._stack.issue_grant(member=self._member)
        self._state.keep(GRANT, {"with": given.id, "token": issued.token})
        self._shown.token, self.own = str(issued.token), True
        LOG.info(
            "enrolled in the group %s as %s: shows grant %s", given.group, self._member, issued.id
        )
