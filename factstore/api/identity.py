"""Who calls, as the middleware in front found out, and what they may do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from flask import request

from factstore.core.errors import Forbidden
from factstore.core.model.fact import Author, Scope
from factstore.core.model.permissions import OWNER, Permissions
from factstore.core.model.secret_readers import NOBODY, SecretReader
from factstore.policies import facts as rules

ENVIRON_KEY = "factstore.identity"


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Identity:
    """The caller of a request.

    :param still_valid: asks again whether the credential holds; streams do, once a minute.
    :param stack: the only one that a grant's holder reaches; empty for all of the project.
    :param reach: how far the caller reaches into a stack.
    """

    user_id: str
    project_id: str
    roles: tuple[str, ...]
    still_valid: Callable[[], bool] = _always
    stack: str = ""
    reach: Permissions = OWNER

    @property
    def rights(self) -> str:
        """What a refusal says that the caller has."""
        if not self.reach.whole:
            return f"a grant for {self.reach.role}s"
        return f"roles {', '.join(self.roles) or 'none'}"


class Authorizer(Protocol):
    """Decides by policy."""

    def __call__(self, rule: str, identity: Identity, project_id: str) -> bool:
        """Whether *identity* may do what *rule* names in a project."""


class Access:
    """Authorization of the present request."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    def identity(self) -> Identity:
        """The caller; the middleware lets no request through without one."""
        identity: Identity = request.environ[ENVIRON_KEY]
        return identity

    def check(self, rule: str, project_id: str | None = None) -> Identity:
        """The caller, allowed by a rule.

        :raises Forbidden: not allowed.
        """
        identity = self.identity()
        if not self._authorizer(rule, identity, project_id or identity.project_id):
            raise Forbidden(
                f"policy rule {rule} does not allow this with {identity.rights} in project "
                f"{identity.project_id}."
            )
        return identity

    def scope(self, rule: str, stack: str) -> Scope:
        """The named stack of the caller's project, allowed by a rule.

        :raises Forbidden: not allowed; it is the same whether the stack exists or not.
        """
        identity = self.check(rule)
        if identity.stack not in ("", stack):
            raise Forbidden(f"this grant is for stack {identity.stack}, and for no other.")
        return Scope(identity.project_id, stack)

    @property
    def reach(self) -> Permissions:
        """How far the caller reaches into the stack."""
        return self.identity().reach

    def reader(self) -> SecretReader:
        """The caller as a reader of sensitive facts."""
        identity = self.identity()
        sees_all = self._authorizer(rules.GET_SENSITIVE, identity, identity.project_id)
        reach = identity.reach
        # Who is no member yet is in no group either.
        return SecretReader(sees_all, reach.member, None if reach.enrols else reach.group)

    def author(self, *, reads: bool = False) -> Author:
        """The caller as the author of a change.

        :param reads: whether it matters which sensitive facts the caller may see.
        """
        identity = self.identity()
        return Author(
            identity.user_id,
            request.environ.get("openstack.request_id", ""),
            self._authorizer(rules.PUT_PARAMETER, identity, identity.project_id),
            identity.reach.grant,
            self.reader() if reads else NOBODY,
        )
