"""Enrolment: with a group's grant, the agent obtains a grant of its member's own.

The member's grant is stored, so that the agent uses the group's grant again only if the service rejects
the member's.  Only the ids of grants are logged.
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


class GrantAuth(HTTPBasicAuth):
    """Authentication with a grant, which can be replaced between two requests.

    :param endpoint: the root URL of the service; None if it is in the catalogue.
    :param token: ``<id>.<secret>``.
    """

    def __init__(self, endpoint: str | None, token: str) -> None:
        super().__init__(endpoint)
        self.token = token

    @property
    def grant_id(self) -> str:
        """The id of the grant."""
        return self.token.partition(".")[0]

    def get_token(self, session: Session) -> str | None:
        """Return user and password in the form of HTTP Basic authentication."""
        return base64.b64encode(self.token.replace(".", ":", 1).encode()).decode()


class Enrolment:
    """Authenticates with the member's own grant if the configured grant is a group's.

    Several threads may use one enrolment.

    :param auth: authenticates the agent's requests, at first with the configured grant.
    :param stack: the stack, accessed with the configured grant.
    """

    def __init__(self, auth: GrantAuth, stack: Stack, member: str, state: StateDir) -> None:
        self._auth = auth
        self._configured_id, self._configured_token = auth.grant_id, auth.token
        self._stack = stack
        self._member = member
        self._state = state
        self._lock = threading.Lock()
        stored = state.read(GRANT) or {}
        token = stored.get("token")
        self.has_member_grant = stored.get("with") == auth.grant_id and isinstance(token, str)
        self._complete = self.has_member_grant
        if self.has_member_grant:
            auth.token = str(token)

    @property
    def token(self) -> str:
        """The grant in use, ``<id>.<secret>``.  It is a secret."""
        return self._auth.token

    @property
    def grant_id(self) -> str:
        """The id of the grant in use."""
        return self._auth.grant_id

    def ensure(self) -> None:
        """Obtain a grant of the member's own if the configured grant is a group's.

        :raises Forbidden: the member's name is in use by another group or grant.
        :raises Unauthorized: the configured grant is not valid.
        :raises FactstoreError: the service cannot answer now.
        """
        with self._lock:
            if self._complete:
                return
            try:
                configured = self._stack.grant(self._configured_id).show()
            except Forbidden:  # policy may forbid reading a grant; it is then used as configured
                configured = None
            if configured and configured.role == "agent" and configured.member is None:
                self._obtain_member_grant(configured)
            self._complete = True

    def discard_rejected_grant(self) -> bool:
        """Return to the configured grant after the service has rejected the grant in use.

        :return: True if the member's own grant was discarded, so that another can be obtained.
        """
        with self._lock:
            if not self.has_member_grant:
                return False
            LOG.warning("the grant of member %s was rejected; enrolling again", self._member)
            self._auth.token = self._configured_token
            self.has_member_grant = self._complete = False
            self._state.delete(GRANT)
            return True

    def _obtain_member_grant(self, group_grant: GrantRecord) -> None:
        issued = self._stack.issue_grant(member=self._member)
        self._state.try_write(GRANT, {"with": group_grant.id, "token": issued.token})
        self._auth.token, self.has_member_grant = str(issued.token), True
        LOG.info(
            "enrolled as member %s of group %s with grant %s",
            self._member,
            group_grant.group,
            issued.id,
        )
