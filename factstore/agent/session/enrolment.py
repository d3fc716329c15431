"""Enrolment: with a group's grant, the agent obtains a grant of its member's own.

The member's grant is stored, so that the agent uses the group's grant again only if the service rejects
the member's.  Only the ids of grants are logged.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping

from factstore.agent.system.state_dir import GRANT, StateDir
from factstore.client import GrantRecord, Stack
from factstore.client.endpoint import Endpoint, basic_credential
from factstore.client.errors import Forbidden

LOG = logging.getLogger(__name__)


class GrantEndpoint(Endpoint):
    """The service, with a grant that can be replaced between two requests.

    :param url: the root URL of the service.
    :param token: ``<id>.<secret>``.
    """

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self.token = token

    @property
    def grant_id(self) -> str:
        """The id of the grant."""
        return self.token.partition(".")[0]

    def url(self) -> str:
        """Return the root URL of the service."""
        return self._url

    def credential(self) -> Mapping[str, str]:
        """Return the header with id and secret as user and password."""
        user, _, password = self.token.partition(".")
        return basic_credential(user, password)


class Enrolment:
    """Authenticates with the member's own grant if the configured grant is a group's.

    Several threads may use one enrolment.

    :param endpoint: authenticates the agent's requests, at first with the configured grant.
    :param stack: the stack, accessed with the configured grant.
    """

    def __init__(self, endpoint: GrantEndpoint, stack: Stack, member: str, state: StateDir) -> None:
        self._endpoint = endpoint
        self._configured_id, self._configured_token = endpoint.grant_id, endpoint.token
        self._stack = stack
        self._member = member
        self._state = state
        self._lock = threading.Lock()
        stored = state.read(GRANT) or {}
        token = stored.get("token")
        self.has_member_grant = stored.get("with") == endpoint.grant_id and isinstance(token, str)
        self._complete = self.has_member_grant
        if self.has_member_grant:
            endpoint.token = str(token)

    @property
    def token(self) -> str:
        """The grant in use, ``<id>.<secret>``.  It is a secret."""
        return self._endpoint.token

    @property
    def grant_id(self) -> str:
        """The id of the grant in use."""
        return self._endpoint.grant_id

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
            self._endpoint.token = self._configured_token
            self.has_member_grant = self._complete = False
            self._state.delete(GRANT)
            return True

    def _obtain_member_grant(self, group_grant: GrantRecord) -> None:
        issued = self._stack.issue_grant(member=self._member)
        self._state.try_write(GRANT, {"with": group_grant.id, "token": issued.token})
        self._endpoint.token, self.has_member_grant = str(issued.token), True
        LOG.info(
            "enrolled as member %s of group %s with grant %s",
            self._member,
            group_grant.group,
            issued.id,
        )
