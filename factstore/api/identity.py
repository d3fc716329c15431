"""Who calls, as the middleware in front found out, and what they may do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from flask import request

from factstore.core.errors import Forbidden
from factstore.core.fact import Author, Scope
from factstore.core.reader import NOBODY, Reader
from factstore.policies import facts as rules

ENVIRON_KEY = "factstore.identity"


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Identity:
    """The caller of a request.

    :param still_valid: asks again whether the credential holds; streams do, once a minute.
    """

    user_id: str
    project_id: str
    roles: tuple[str, ...]
    still_valid: Callable[[], bool] = _always


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
                f"policy rule {rule} does not allow this with roles "
                f"{', '.join(identity.roles) or 'none'} in project {identity.project_id}."
            )
        return identity

    def scope(self, rule: str, stack: str) -> Scope:
        """The named stack of the caller's project, allowed by a rule.

        :raises Forbidden: not allowed; it is the same whether the stack exists or not.
        """
        return Scope(self.check(rule).project_id, stack)

    def reader(self) -> Reader:
        """The caller as a reader of sensitive facts."""
        identity = self.identity()
        return Reader(self._authorizer(rules.GET_SENSITIVE, identity, identity.project_id))

    def author(self, *, reads: bool = False) -> Author:
        """The caller as the author of a change.

        :param reads: whether it matters which sensitive facts the caller may see.
        """
        identity = self.identity()
        return Author(
            identity.user_id,
            request.environ.get("openstack.request_id", ""),
            self._authorizer(rules.PUT_PARAMETER, identity, identity.project_id),
            self.reader() if reads else NOBODY,
        )
