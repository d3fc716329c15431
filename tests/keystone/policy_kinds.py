"""The kinds of operations and of callers in the table of the policy, which is in ``policy_table``.

A row's :class:`Tokens` are the answers to callers with a token, in the order of
:data:`PERSONAS`; its :class:`Grants` are the answers to holders of grants, in the order of
:data:`HOLDERS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

DONE = "done"  # what the row says
MADE = "made"  # the same where nothing was: the caller's own project, not the owner's
UNKNOWN = "401 unauthorized"
MISSING = "404 not_found"
FORBIDDEN = "403 forbidden"
PROTECTED = "403 parameter_protected"

UNIDENTIFIED = ("no token", "junk token", "expired token", "revoked token")
STRANGERS = ("outsider", "admin", "service")  # who may, but in other projects
PERSONAS = (*UNIDENTIFIED, *STRANGERS, "reader", "owner", "restricted")
RESTRICTED_TO = ("GET", "/v1/stacks/{stack}/context")  # the one access rule of "restricted"

ENDED = ("expired", "revoked", "its stack deleted", "another secret", "junk")
HOLDERS = (
    "agent of a", "agent of b", "reader", "group", "enrolled", "agent elsewhere", *ENDED,
    "its group revoked",
)  # fmt: skip
"""Of the stack that is called: agents for member a, whose group is g, and for member b; a reader; the
holder of the grant of group g; and member e, whose grant was issued from that.  Of another stack of the
same project: an agent for member a.  And grants that are not valid."""


class Tokens(Enum):
    """The kind of an operation, which determines the response to each persona."""

    #                       unidentified   outsider   admin    service    reader     owner  restricted
    PUBLIC = (*[DONE] * 4, DONE, DONE, DONE, DONE, DONE, DONE)
    READ = (*[UNKNOWN] * 4, MISSING, MISSING, MISSING, DONE, DONE, UNKNOWN)
    READ_OWN = (*[UNKNOWN] * 4, DONE, DONE, DONE, DONE, DONE, UNKNOWN)
    MEMBER_OWN = (*[UNKNOWN] * 4, DONE, DONE, DONE, FORBIDDEN, DONE, UNKNOWN)
    MEMBER_ANY = (*[UNKNOWN] * 4, FORBIDDEN, DONE, FORBIDDEN, FORBIDDEN, DONE, UNKNOWN)
    READ_ANY = (*[UNKNOWN] * 4, FORBIDDEN, DONE, FORBIDDEN, DONE, DONE, UNKNOWN)
    WRITE = (*[UNKNOWN] * 4, MADE, MADE, MADE, FORBIDDEN, DONE, UNKNOWN)
    REMOVE = (*[UNKNOWN] * 4, MISSING, MISSING, MISSING, FORBIDDEN, DONE, UNKNOWN)
    ADMIN = (*[UNKNOWN] * 4, FORBIDDEN, DONE, FORBIDDEN, FORBIDDEN, FORBIDDEN, UNKNOWN)
    SERVICE = (*[UNKNOWN] * 4, FORBIDDEN, DONE, DONE, FORBIDDEN, FORBIDDEN, UNKNOWN)


# PUBLIC     for everybody, whatever they send
# READ       of one stack
# READ_OWN   of the caller's own project
# MEMBER_OWN of the caller's own project, for those who may write
# MEMBER_ANY of the project that the query names, for those who may write
# READ_ANY   of the project that the query names, the owner's
# ADMIN      of all projects
# WRITE      makes the stack if need be
# SERVICE    of any project, for other services
# REMOVE     needs something to be there, and is for those who may write


class Grants(Enum):
    """The kind of an operation, which determines the response to each holder."""

    #                agent of a agent of b reader     group      enrolled   elsewhere  ended
    PUBLIC = (*[DONE] * 6, *[DONE] * 6)
    READ = (*[DONE] * 5, FORBIDDEN, *[UNKNOWN] * 6)
    OWN_A = (DONE, *[FORBIDDEN] * 5, *[UNKNOWN] * 6)
    OWN_B = (FORBIDDEN, DONE, *[FORBIDDEN] * 4, *[UNKNOWN] * 6)
    OWN_E = (*[FORBIDDEN] * 4, DONE, FORBIDDEN, *[UNKNOWN] * 6)
    PARAMETER_A = (PROTECTED, *[FORBIDDEN] * 5, *[UNKNOWN] * 6)
    SIGNAL = (DONE, DONE, FORBIDDEN, FORBIDDEN, DONE, FORBIDDEN, *[UNKNOWN] * 6)
    GROUP = (*[FORBIDDEN] * 3, DONE, FORBIDDEN, FORBIDDEN, *[UNKNOWN] * 6)
    OWNERS = (*[FORBIDDEN] * 6, *[UNKNOWN] * 6)


# PUBLIC       for everybody, whatever they send
# READ         of the stack
# OWN_A        what is member a's own or for it alone, or the grant for it
# OWN_B        the same for member b
# OWN_E        the same for member e, which enrolled
# PARAMETER_A  where member a writes, but a fact of kind parameter
# SIGNAL       to a waiter
# GROUP        a grant for a member of group g, and the group's grant itself
# OWNERS       for those with a token only


@dataclass(frozen=True)
class Row:
    """One operation on the owner's stack, in which are fact and member ``a``, a grant and the records.

    The stack that holders of grants call also has more facts, member ``b``, member ``h`` in group
    ``other``, and the holders' grants.

    :param tokens: None if the operation is only tried with grants, because of its place in the stack.
    :param grants: None if it is only tried with tokens.
    :param made: the status where it creates something.
    :param grant: the holder of the grant that it is about.
    """

    method: str
    template: str
    tokens: Tokens | None
    grants: Grants | None
    query: str = ""
    body: Any = None
    done: int = 200
    made: int = 201
    path: str = "a"
    member: str = "a"
    grant: str = "agent of a"

    @property
    def operation(self) -> tuple[str, str]:
        return self.method, self.template

    def __str__(self) -> str:
        where = self.template.replace("{path}", self.path).replace("{member}", self.member)
        where = where.replace("{grant}", self.grant.replace(" ", "-"))
        return f"{self.method} {where}{self.query}{f' {self.body}' if self.body else ''}"

    def answer_to_persona(self, persona: str) -> str:
        """Return the status, and the code of a refusal, as in ``404 not_found``."""
        assert self.tokens is not None
        if persona == "restricted" and self.operation == RESTRICTED_TO:
            return str(self.done)
        return self._text(self.tokens.value[PERSONAS.index(persona)])

    def answer_to_holder(self, holder: str) -> str:
        """Return the status, and the code of a refusal, as in ``404 not_found``."""
        assert self.grants is not None
        return self._text(self.grants.value[HOLDERS.index(holder)])

    def _text(self, answer: str) -> str:
        return {DONE: str(self.done), MADE: str(self.made)}.get(answer, answer)
