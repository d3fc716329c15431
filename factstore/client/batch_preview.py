"""The effects that a batch would have, as a dry run returns them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from factstore.client.records import Outcome

if TYPE_CHECKING:
    from typing import Self


@dataclass(frozen=True)
class Transition:
    """The next step of a waiter or an alarm.

    :param state: the present state.
    :param becomes: the state that it would get; the present one if only its progress would change.
    :param reason: the reason for it, or None.
    :param document: all that the service returned about it, such as ``missing``.
    """

    name: str
    state: str
    becomes: str
    reason: str | None
    document: Mapping[str, Any]

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Return the step in a document."""
        return cls(
            document["name"],
            document["state"],
            document["becomes"],
            document["reason"],
            document,
        )


@dataclass(frozen=True)
class BatchPreview:
    """The effects that a batch would have.  Parts that the caller may not read elsewhere are None.

    :param outcomes: one for each operation, in their order.
    :param facts: for each operation, the fact as it would be; None for one that would not exist.
    :param etags: for each operation, the etag of the present fact, or None if it does not exist.
    :param deleted: the number of facts that each operation on a prefix would delete; None for others.
    :param woken: the number of members that the batch would wake, according to their read sets.
    :param wakes: the names of these members; the first 100.
    :param waiters: the waiters that would change.
    :param alarms: the alarms that would change.
    :param quota: ``used`` and ``limit`` of each quota after the batch.
    :param plan: for :meth:`Stack.batch`, which then does exactly this.
    :param cursor: the cursor of the state that was read.
    """

    outcomes: Sequence[Outcome]
    facts: Sequence[Mapping[str, Any] | None]
    etags: Sequence[str | None]
    deleted: Sequence[int | None]
    woken: int | None
    wakes: Sequence[str] | None
    waiters: Sequence[Transition] | None
    alarms: Sequence[Transition] | None
    quota: Mapping[str, Mapping[str, int]] | None
    plan: str
    cursor: str

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Return the preview in a document."""
        results: Sequence[Mapping[str, Any]] = document["results"]
        wakes = document["wakes"]
        return cls(
            outcomes=tuple(result["outcome"] for result in results),
            facts=tuple(result["fact"] for result in results),
            etags=tuple(result["former"] and result["former"]["etag"] for result in results),
            deleted=tuple(result.get("deleted") for result in results),
            woken=None if wakes is None else wakes["count"],
            wakes=None if wakes is None else tuple(wakes["members"]),
            waiters=_transitions(document["waiters"]),
            alarms=_transitions(document["alarms"]),
            quota=document["quota"],
            plan=document["plan"],
            cursor=document["cursor"],
        )


def _transitions(documents: Sequence[Mapping[str, Any]] | None) -> Sequence[Transition] | None:
    return None if documents is None else tuple(map(Transition.parse, documents))
