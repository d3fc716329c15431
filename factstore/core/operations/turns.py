"""Taking a turn in a queue, and giving it back."""

from __future__ import annotations

from itertools import count
from typing import ClassVar

from factstore.core.errors import Conflict, NotFound
from factstore.core.model.fact import Author, Scope
from factstore.core.model.member import Member
from factstore.core.model.path import quoted
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import RecordKey
from factstore.core.model.turn import (
    TURNS_PER_MEMBER,
    QueuedTurn,
    Rank,
    Turn,
    TurnRequest,
    rank_key,
    turn_key,
)
from factstore.core.operations.bounds import quota_exceeded
from factstore.core.operations.fencing import stale_generation
from factstore.core.operations.member_updates import living_member
from factstore.core.operations.operation import Draft, Operation, View


@quick_dataclass(frozen=True, slots=True)
class TakeResult:
    """The member's turn with its place, and whether it was created."""

    queued: QueuedTurn
    created: bool


@quick_dataclass(slots=True)
class TakeTurn(Operation[TakeResult]):
    """Take a turn at the end of a queue; a turn that the member has there already is kept."""

    scope: Scope
    queue: str
    name: str
    request: TurnRequest
    author: Author

    def plan(self, view: View) -> Draft[TakeResult]:
        """Return the draft; it writes nothing if this incarnation has a turn in the queue.

        :raises NotFound: there is no such member.
        :raises Conflict: ``generation_stale``; ``member_missing``: the member has not joined; or
            ``rank_missing``: it has a turn without a rank, and requests a rank.
        :raises Forbidden: ``quota_exceeded``: the member has too many turns.
        """
        member = self._joined(view)
        key = turn_key(self.queue, self.name)
        known = view.record(key)
        revisions = {member.record_key: member.revision, key: known.revision if known else 0}
        if isinstance(known, Turn) and known.lease == member.lease:
            if self.request.rank and known.rank is None:
                raise Conflict(
                    f"Member {quoted(self.name)} has a turn without a rank in queue "
                    f"{quoted(self.queue)}. Give the turn back first.",
                    code="rank_missing",
                    extra={"member": self.name},
                )
            queued = _queued(view, known)
            return Draft(TakeResult(queued, created=False), record_revisions=revisions)
        if known is None:
            self._check_room(view)
        # Another turn is that of the former incarnation, and its lease is about to end.
        rank = None
        if self.request.rank:
            rank, revision = self._lowest_free_rank(view, member)
            revisions[rank.record_key] = revision
        turn = Turn(
            queue=self.queue,
            member=self.name,
            max_parallel=self.request.max_parallel,
            created_at=view.now,
            updated_by=self.author.user_id,
            request_id=self.author.request_id,
            rank=rank.number if rank else None,
            lease=member.lease,
        )
        return Draft(
            TakeResult(_queued(view, turn), created=True),
            records=(turn,) if rank is None else (turn, rank),
            record_revisions=revisions,
        )

    def _joined(self, view: View) -> Member:
        member = living_member(view, self.name, self.request.generation)
        if member.declared_only:
            raise Conflict(
                f"Member {quoted(self.name)} cannot take a turn: it is declared and has not joined "
                "yet. Join first.",
                code="member_missing",
                extra={"member": self.name},
            )
        return member

    def _check_room(self, view: View) -> None:
        used = view.stack_state.turn_queues.count(self.name) if view.stack_state else 0
        if used >= TURNS_PER_MEMBER:
            raise quota_exceeded(
                "turns_per_member",
                TURNS_PER_MEMBER,
                used,
                f"Member {quoted(self.name)} has {used} turns; at most {TURNS_PER_MEMBER} are allowed. "
                "Give some back.",
            )

    def _lowest_free_rank(self, view: View, member: Member) -> tuple[Rank, int]:
        """Return the lowest number that no other member has, and the revision to guard it with."""
        for number in count():
            known = view.record(rank_key(self.queue, number))
            if known is None:
                break
            if isinstance(known, Rank) and known.member == self.name:
                break
        rank = Rank(self.queue, number, self.name, lease=member.lease)
        return rank, known.revision if known else 0


def _queued(view: View, turn: Turn) -> QueuedTurn:
    """Return a turn with its place; a new one is at the end of the queue."""
    queues = view.stack_state.turn_queues if view.stack_state else None
    known = queues.find(turn.queue, turn.member) if queues and turn.revision else None
    if known is not None:
        return known
    others = [each.turn for each in queues.queued(turn.queue)] if queues else []
    limits = [each.max_parallel for each in others if each.member != turn.member]
    holds = len(limits) < min([*limits, turn.max_parallel])
    return QueuedTurn(turn, len(limits) + 1, holds)


@quick_dataclass(slots=True)
class GiveTurnBack(Operation[Turn]):
    """Give a turn back, with its rank; the outcome is the turn as it was."""

    counts_toward_quota: ClassVar[bool] = False

    scope: Scope
    queue: str
    name: str
    generation: str | None
    author: Author

    def plan(self, view: View) -> Draft[Turn]:
        """Return the draft.

        :raises NotFound: there is no such turn.
        :raises Conflict: ``generation_stale``: the turn is another incarnation's.
        """
        turn = view.record(turn_key(self.queue, self.name))
        if not isinstance(turn, Turn):
            raise turn_missing(view.scope, self.queue, self.name)
        if self.generation is not None and self.generation != f"{turn.lease:x}":
            raise stale_generation(self.generation, self.name)
        removes: tuple[RecordKey, ...] = (turn.record_key,)
        revisions = {turn.record_key: turn.revision}
        if turn.rank is not None:
            key = rank_key(self.queue, turn.rank)
            rank = view.record(key)
            if isinstance(rank, Rank) and rank.member == self.name:
                removes += (key,)
                revisions[key] = rank.revision
        return Draft(turn, removes=removes, record_revisions=revisions)


def turn_missing(scope: Scope, queue: str, member: str) -> NotFound:
    """Return the refusal of a request about a turn that does not exist."""
    return NotFound(
        f"Member {quoted(member)} has no turn in queue {quoted(queue)} of a stack named "
        f"{quoted(scope.stack)}."
    )
