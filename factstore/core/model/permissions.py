"""How far into its stack a caller reaches: write one's own, read the stack.

Who holds a group's grant is nobody yet: it reads the stack, and gets a grant for a member of the group.

This is the one place of that rule.  Policy decides before it whether a caller may do an operation at
all; this decides on which paths, members and grants.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from factstore.core.errors import Forbidden
from factstore.core.model.path import quoted

GrantRole = Literal["agent", "reader"]
GRANT_ROLES: tuple[GrantRole, ...] = ("agent", "reader")

_OWN = ("nodes", "results")
"""Folders in which each member has one of its own to write in."""
CONFIGS = "configs/"
"""Below it each member has a folder of what it is to do, which is not for others."""


@dataclass(frozen=True, slots=True)
class Permissions:
    """What one caller may touch in a stack.

    :param role: ``owner`` is who was let in by policy alone, and is not confined further.
    :param member: as whom a grant's holder takes part; None for nobody.
    :param group: the one that *member* may join, None for any; without a member the one whose members
        an agent's grant gets theirs with.
    :param grant: the id of the grant that the caller holds; empty for none.
    """

    role: Literal["owner"] | GrantRole = "owner"
    member: str | None = None
    group: str | None = None
    grant: str = ""

    @property
    def unrestricted(self) -> bool:
        """Whether there is nothing that it does not reach."""
        return self.role == "owner"

    @property
    def issues_member_grants(self) -> bool:
        """Whether it is a group's, with which its members get grants of their own."""
        return self.role == "agent" and self.member is None

    def can_read(self, path: str) -> bool:
        """Whether the caller may know of a path."""
        if self.unrestricted or not path.startswith(CONFIGS):
            return True
        return self.member is not None and path.startswith(f"{CONFIGS}{self.member}/")

    def check_read(self, path: str) -> None:
        """Let pass what is seen.

        :raises Forbidden: the path is another member's to read.
        """
        if not self.can_read(path):
            raise Forbidden(
                f"{quoted(path)} is for another member; a grant's holder reads "
                f"{CONFIGS}{self.member or '<member>'}/ of {CONFIGS}"
            )

    def check_write(self, path: str) -> None:
        """Let pass what is the caller's own.

        :raises Forbidden: it is not.
        """
        if self.unrestricted:
            return
        self._check_somebody()
        if self.role != "agent":
            raise Forbidden("this grant is for reading only.")
        if not path.startswith(tuple(f"{folder}/{self.member}/" for folder in _OWN)):
            places = " and ".join(f"{folder}/{self.member}/" for folder in _OWN)
            raise Forbidden(
                f"{quoted(path)} is not this member's to write; it writes below {places}"
            )

    def check_member(self, name: str, group: str | None = None) -> None:
        """Let pass what concerns the member that the caller is.

        :param group: the one that it wants to be in; None if that is not asked.
        :raises Forbidden: it is another one, or in another group.
        """
        if self.unrestricted:
            return
        self._check_somebody()
        if self.role != "agent" or name != self.member:
            raise Forbidden(f"this grant is not for member {quoted(name)}.")
        if group is not None and self.group not in (None, group):
            raise Forbidden(
                f"this grant is for group {quoted(self.group)}; {quoted(group)} is another one."
            )

    def check_declaration(self, *words: str | None) -> None:
        """Let pass who says nothing of what a member stands for, or why it is there.

        :param words: what the caller said; None where it said nothing.
        :raises Forbidden: it said something that is for owners to say.
        """
        if not self.unrestricted and any(word is not None for word in words):
            raise Forbidden(
                "only the stack's owners declare a member, or say why it joins; a grant's holder "
                "joins without 'declared' and 'reason'."
            )

    def check_signal(self) -> None:
        """Let pass who takes part.

        :raises Forbidden: the caller is nobody yet.
        """
        self._check_somebody()

    def check_grant(self, grant: str, *, revokes: bool = False) -> None:
        """Let pass what concerns the caller's own grant.

        :param revokes: whether it is to end.
        :raises Forbidden: it is another one, or one that others hold too.
        """
        if not self.unrestricted and grant != self.grant:
            raise Forbidden("the holder of a grant shows, renews and revokes that one only.")
        if revokes and self.issues_member_grants:
            raise Forbidden("all of a group hold its grant; only the stack's owners revoke it.")

    def check_issue(self, role: GrantRole, member: str | None, group: str | None) -> None:
        """Let pass the wish for a grant that is the caller's to issue.

        :raises Forbidden: it is not; whether the name is free is not asked here.
        """
        if self.unrestricted:
            return
        if not self.issues_member_grants:
            raise Forbidden("this grant does not issue others; only a group's grant does.")
        if role != "agent" or member is None or group not in (None, self.group):
            raise Forbidden(
                f"with this grant, grants are issued for agents that are each a member in group "
                f"{quoted(self.group or '')}, and for nothing else."
            )

    def _check_somebody(self) -> None:
        if self.issues_member_grants:
            raise Forbidden(
                f"this is the grant of group {quoted(self.group or '')}: issue one for a member with "
                "it, and show that one."
            )


OWNER = Permissions()
"""Of callers with a Keystone token."""
