"""The cause of a member's last run, as the service returns it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Self


@dataclass(frozen=True)
class WhyStep:
    """A change that woke a member.  Most fields are None if the caller may not read it.

    :param type: such as ``fact.put`` or ``member.join``.
    :param path: of the fact; None if a member has changed.
    :param member: the member that has changed; None if a fact has.
    :param by: the id of the user, or ``grant:`` with the id of a grant.
    :param at: when it was written; None for a deletion.
    :param writer: the member that wrote it, if it is known.
    :param reason: why a member joined or departed.
    :param declared: the identifier with which its owner declared the member.
    :param others: the number of further changes of the same revision that woke the member.
    :param cause: the cursor on which the author acted; None if it stated none.
    """

    cursor: str
    type: str | None
    path: str | None
    member: str | None
    by: str | None
    request_id: str | None
    at: str | None
    writer: str | None
    reason: str | None
    declared: str | None
    others: int
    cause: str | None

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Return the step in a document.  Unknown fields are ignored."""
        return cls(**{name: document[name] for name in cls.__dataclass_fields__})


@dataclass(frozen=True)
class Why:
    """The cause of a member's last run.

    :param applied: the cursor that the member has applied; None if it has reported none.
    :param target: the cursor that it has to apply; None if nothing has concerned it.
    :param steps: the changes, the newest first: each woke the author of the one before.
    :param end: why the steps end there, one word, such as ``join`` or ``history``.
    :param detail: the same in words.
    :param flapping: the path that is changed again and again, with ``times``, ``paths`` and
        ``writers``; None if none is.
    :param since: the cursor from which the service knows all changes.
    """

    member: str
    group: str
    applied: str | None
    target: str | None
    steps: Sequence[WhyStep]
    end: str
    detail: str
    flapping: Mapping[str, Any] | None
    since: str

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Return the cause in a document."""
        return cls(
            document["member"],
            document["group"],
            document["applied"],
            document["target"],
            tuple(map(WhyStep.parse, document["steps"])),
            document["end"]["kind"],
            document["end"]["detail"],
            document["flapping"],
            document["since"],
        )
