"""The permissions of a caller in a stack: a member reads the stack and writes its own facts.

The holder of a group's grant is not a member yet: it reads the stack, and requests a grant for a
member of the group.

Policy decides first whether a caller may perform an operation at all.  This module alone decides on
which paths, members and grants.
"""

from __future__ import annotations

from typing import Literal

from factstore.core.errors import Forbidden
from factstore.core.model.path import OWN_FOLDERS, quoted
from factstore.core.model.quick_dataclass import quick_dataclass

GrantRole = Literal["agent", "reader"]
GRANT_ROLES: tuple[GrantRole, ...] = ("agent", "reader")

CONFIGS = "configs/"
"""The folder with a folder for each member, which no other member may read."""


@quick_dataclass(frozen=True, slots=True)
class Permissions:
    """The permissions of one caller in a stack.

    :param role: ``owner`` for a caller with a Keystone token, who is not restricted further.
    :param member: the member as which a grant's holder takes part; None for none.
    :param group: the group that *member* may join, or None for any group; without a member, the group
        whose members request their grants with this one.
    :param grant: the id of the caller's grant; empty for none.
    """

    role: Literal["owner"] | GrantRole = "owner"
    member: str | None = None
    group: str | None = None
    grant: str = ""

    @property
    def unrestricted(self) -> bool:
        """True if the caller may access everything in the stack."""
        return self.role == "owner"

    @property
    def reach(self) -> Permissions:
        """The permissions of a reader that may read the same, equal for all such readers."""
        return OWNER if self.unrestricted else Permissions("reader", self.member)

    @property
    def issues_member_grants(self) -> bool:
        """True for a group's grant, which issues grants for the group's members."""
        return self.role == "agent" and self.member is None

    def can_read(self, path: str) -> bool:
        """Return True if the caller may read a path."""
        if self.unrestricted or not path.startswith(CONFIGS):
            return True
        return self.member is not None and path.startswith(f"{CONFIGS}{self.member}/")

    def readable_folder(self, folder: str) -> str | None:
        """Return the folder that contains all that the caller may read below one; None for nothing."""
        if self.can_read(f"{folder}/"):
            return folder
        return f"{CONFIGS}{self.member}" if self.member and f"{folder}/" == CONFIGS else None

    def after_hidden(self, path: str) -> str:
        """Return a path that comes before the next readable one, and not before a hidden one."""
        own = f"{CONFIGS}{self.member}/" if self.member else ""
        return own if path < own else f"{CONFIGS}\x7f"  # after all characters of paths

    def check_read(self, path: str) -> None:
        """Raise Forbidden if only another member may read the path."""
        if not self.can_read(path):
            raise Forbidden(
                f"{quoted(path)} is for another member; with this grant, read only "
                f"{CONFIGS}{self.member or '<member>'}/ below {CONFIGS}"
            )

    def check_write(self, path: str) -> None:
        """Raise Forbidden if the caller may not write the path."""
        if self.unrestricted:
            return
        self._check_member_grant()
        if self.role != "agent":
            raise Forbidden("This grant is read-only; use an agent's grant to write.")
        folder, _, rest = path.partition("/")
        if folder not in OWN_FOLDERS or not rest.startswith(f"{self.member}/"):
            folders = " and ".join(f"{folder}/{self.member}/" for folder in OWN_FOLDERS)
            raise Forbidden(f"This member may not write {quoted(path)}; write below {folders}")

    def check_write_below(self, path: str) -> bool:
        """Raise Forbidden if the caller may not write below the path; return True if also itself."""
        self.check_write(f"{path}/")
        try:
            self.check_write(path)
        except Forbidden:  # the folder of the member itself
            return False
        return True

    def check_member(self, name: str, group: str | None = None) -> None:
        """Raise Forbidden if the caller is another member or may not be in the group.

        :param group: the group that the member requests; None to leave it unchecked.
        """
        if self.unrestricted:
            return
        self._check_member_grant()
        if self.role != "agent" or name != self.member:
            raise Forbidden(f"This grant is not for member {quoted(name)}.")
        if group is not None and self.group not in (None, group):
            raise Forbidden(
                f"This grant is for group {quoted(self.group)}, not for {quoted(group)}."
            )

    def check_run(self, member: str) -> None:
        """Raise Forbidden if the caller may not read what a member runs."""
        if not self.unrestricted and member != self.member:
            raise Forbidden(
                f"With this grant, the runs of member {quoted(member)} cannot be shown."
            )

    def check_declaration(self, *words: str | None) -> None:
        """Raise Forbidden if a caller without a Keystone token declares a member or gives a reason.

        :param words: the fields that only owners may set; None for one that is not set.
        """
        if not self.unrestricted and any(word is not None for word in words):
            raise Forbidden(
                "Only the stack's owners may declare a member or state why it joins; with a grant, "
                "join without 'declared' and 'reason'."
            )

    def check_signal(self) -> None:
        """Raise Forbidden if the caller has a group's grant."""
        self._check_member_grant()

    def check_grant(self, grant: str, *, revokes: bool = False) -> None:
        """Raise Forbidden if the grant is not the caller's own.

        :param revokes: True if the grant is to be revoked; a group's grant is shared and cannot be.
        """
        if not self.unrestricted and grant != self.grant:
            raise Forbidden("With a grant, only that grant can be shown, renewed and revoked.")
        if revokes and self.issues_member_grants:
            raise Forbidden(
                "A group's grant is shared by all instances of the group; only the stack's owners may "
                "revoke it."
            )

    def check_issue(self, role: GrantRole, member: str | None, group: str | None) -> None:
        """Raise Forbidden if the caller may not issue such a grant.

        It does not check whether the member's name is free.
        """
        if self.unrestricted:
            return
        if not self.issues_member_grants:
            raise Forbidden("This grant cannot issue other grants; use a group's grant.")
        if role != "agent" or member is None or group not in (None, self.group):
            raise Forbidden(
                f"This grant issues only grants for agents that are a member of group "
                f"{quoted(self.group or '')}; name the member and the role agent."
            )

    def _check_member_grant(self) -> None:
        if self.issues_member_grants:
            raise Forbidden(
                f"This is the grant of group {quoted(self.group or '')}; issue a grant for a member "
                "with it, and use that grant."
            )


OWNER = Permissions()
"""The permissions of callers with a Keystone token."""
