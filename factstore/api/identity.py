"""The caller of a request, as authenticated by the middleware, and what policy allows them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from flask import current_app, request

from factstore.api.cause import stated_cause
from factstore.core.errors import Forbidden
from factstore.core.model.fact import Author, Scope
from factstore.core.model.permissions import OWNER, Permissions
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.secret_readers import NOBODY, SecretReader
from factstore.core.model.wait import Party
from factstore.core.services.blocked_reads import reader_of
from factstore.policies import facts as rules

ENVIRON_KEY = "factstore.identity"
EXTENSION = "factstore.access"


def _always() -> bool:
    return True


@quick_dataclass(frozen=True, slots=True)
class Identity:
    """The caller of a request.

    :param still_valid: checks the credential again; streams call it once a minute.
    :param stack: the only stack that a grant is valid for; empty for all stacks of the project.
    :param permissions: the caller's permissions inside a stack.
    """

    user_id: str
    project_id: str
    roles: tuple[str, ...]
    still_valid: Callable[[], bool] = _always
    stack: str = ""
    permissions: Permissions = OWNER

    @property
    def lasts(self) -> bool:
        """True if the credential never ends."""
        return self.still_valid is _always

    @property
    def rights(self) -> str:
        """The caller's roles or grant, for a refusal."""
        if not self.permissions.unrestricted:
            return f"a grant with role {self.permissions.role}"
        return f"roles {', '.join(self.roles) or 'none'}"


class Authorizer(Protocol):
    """Decides by policy rules."""

    def __call__(self, rule: str, identity: Identity, project_id: str) -> bool:
        """Return True if a rule allows *identity* to act in a project."""


class Access:
    """Authorization of the current request."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    def identity(self) -> Identity:
        """Return the caller; authentication passes no request on without one."""
        identity: Identity = request.environ[ENVIRON_KEY]
        return identity

    def check(self, rule: str, project_id: str | None = None) -> Identity:
        """Return the caller if a rule allows the request.

        :raises Forbidden: the rule does not allow it.
        """
        identity = self.identity()
        if not self._authorizer(rule, identity, project_id or identity.project_id):
            raise Forbidden(
                f"Policy rule {rule} does not allow this request with {identity.rights} in project "
                f"{identity.project_id}."
            )
        return identity

    def allows(self, rule: str) -> bool:
        """Return True if a rule allows the caller to act in the caller's own project."""
        identity = self.identity()
        return self._authorizer(rule, identity, identity.project_id)

    def scope(self, rule: str, stack: str) -> Scope:
        """Return the scope of a stack of the caller's project, if a rule allows the request.

        :raises Forbidden: the rule does not allow it, whether or not the stack exists.
        """
        identity = self.check(rule)
        if identity.stack not in ("", stack):
            raise Forbidden(f"The grant is only valid for stack {identity.stack}.")
        return Scope(identity.project_id, stack)

    @property
    def permissions(self) -> Permissions:
        """The caller's permissions inside the stack."""
        return self.identity().permissions

    def reader(self) -> SecretReader:
        """Return the caller as a reader of sensitive facts."""
        identity = self.identity()
        sees_all = self.allows(rules.GET_SENSITIVE)
        permissions = identity.permissions
        # The holder of a group's grant is not a member of the group; it only issues grants for members.
        return SecretReader(
            sees_all,
            permissions.member,
            None if permissions.issues_member_grants else permissions.group,
        )

    def waiting_reader(self) -> Party:
        """Return the caller as one that waits for a fact."""
        identity = self.identity()
        return reader_of(identity.user_id, identity.permissions)

    def author(self, *, reads: bool = False) -> Author:
        """Return the caller as the author of a change.

        :param reads: determine which sensitive facts the caller may read, too.
        """
        identity = self.identity()
        return Author(
            identity.user_id,
            request.environ.get("openstack.request_id", ""),
            self.allows(rules.PUT_PARAMETER),
            identity.permissions.grant,
            self.reader() if reads else NOBODY,
            stated_cause(),
        )


def access() -> Access:
    """Return the authorization of the current request."""
    found: Access = current_app.extensions[EXTENSION]
    return found
