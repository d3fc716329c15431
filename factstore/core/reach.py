"""How far into its stack a caller reaches: write one's own, read the stack.

This is the one place of that rule.  Policy decides before it whether a caller may do an operation at
all; this decides on which paths, members and grants.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from factstore.core.errors import Forbidden
from factstore.core.path import shown

GrantRole = Literal["agent", "reader"]
GRANT_ROLES: tuple[GrantRole, ...] = ("agent", "reader")

_OWN = ("nodes", "results")
"""Folders in which each member has one of its own to write in."""
CONFIGS = "configs/"
"""Below it each member has a folder of what it is to do, which is not for others."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What one caller may touch in a stack.

    :param role: ``owner`` is who was let in by policy alone, and is not confined further.
    :param member: as whom a grant's holder takes part; None for nobody.
    :param group: the one that *member* may join; None for any.
    :param grant: the id of the grant that the caller holds; empty for none.
    """

    role: Literal["owner"] | GrantRole = "owner"
    member: str | None = None
    group: str | None = None
    grant: str = ""

    @property
    def whole(self) -> bool:
        """Whether there is nothing that it does not reach."""
        return self.role == "owner"

    def sees(self, path: str) -> bool:
        """Whether the caller may know of a path."""
        if self.whole or not path.startswith(CONFIGS):
            return True
        return self.member is not None and path.startswith(f"{CONFIGS}{self.member}/")

    def check_read(self, path: str) -> None:
        """Let pass what is seen.

        :raises Forbidden: the path is another member's to read.
        """
        if not self.sees(path):
            raise Forbidden(
                f"{shown(path)} is for another member; a grant's holder reads "
                f"{CONFIGS}{self.member or '<member>'}/ of {CONFIGS}"
            )

    def check_write(self, path: str) -> None:
        """Let pass what is the caller's own.

        :raises Forbidden: it is not.
        """
        if self.whole:
            return
        if self.role != "agent" or self.member is None:
            raise Forbidden("this grant is for reading only.")
        if not path.startswith(tuple(f"{folder}/{self.member}/" for folder in _OWN)):
            places = " and ".join(f"{folder}/{self.member}/" for folder in _OWN)
            raise Forbidden(
                f"{shown(path)} is not this member's to write; it writes below {places}"
            )

    def check_member(self, name: str, group: str | None = None) -> None:
        """Let pass what concerns the member that the caller is.

        :param group: the one that it wants to be in; None if that is not asked.
        :raises Forbidden: it is another one, or in another group.
        """
        if self.whole:
            return
        if self.role != "agent" or name != self.member:
            raise Forbidden(f"this grant is not for member {shown(name)}.")
        if group is not None and self.group not in (None, group):
            raise Forbidden(
                f"this grant is for group {shown(self.group)}; {shown(group)} is another one."
            )

    def check_declaration(self, *words: str | None) -> None:
        """Let pass who says nothing of what a member stands for, or why it is there.

        :param words: what the caller said; None where it said nothing.
        :raises Forbidden: it said something that is for owners to say.
        """
        if not self.whole and any(word is not None for word in words):
            raise Forbidden(
                "only the stack's owners declare a member, or say why it joins; a grant's holder "
                "joins without 'declared' and 'reason'."
            )

    def check_grant(self, grant: str) -> None:
        """Let pass what concerns the caller's own grant.

        :raises Forbidden: it is another one.
        """
        if not self.whole and grant != self.grant:
            raise Forbidden("the holder of a grant shows, renews and revokes that one only.")


OWNER = Reach()
"""Of callers with a Keystone token."""
