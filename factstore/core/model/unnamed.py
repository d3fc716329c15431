"""Unnamed stacks: the place of records that belong to a project and to none of its stacks.

Operations and transactions concern one stack.  So that they can also concern a project, each project
has a stack without a name.  It always exists, holds no facts and is not listed, and no request can
address it.  One more, of no project, holds the records of the service.
"""

from __future__ import annotations

from factstore.core.model.fact import Scope, Stack

SERVICE = Scope("", "")
"""The scope of the records that belong to no project."""


def unnamed_scope(project_id: str) -> Scope:
    """Return the scope of the records of a project."""
    return Scope(project_id, "")


def unnamed_stack(project_id: str) -> Stack:
    """Return the unnamed stack of a project.

    Its id has a slash, which no other id has, and no revision, because it is not stored.
    """
    return Stack(project_id, "", f"/{project_id}", "", "", "", "", "")


def project_of_unnamed(stack_id: str) -> str | None:
    """Return the project of the unnamed stack that has an id; None if it is the id of another stack."""
    return stack_id[1:] if stack_id.startswith("/") else None
