"""Turns: places in the named queues of a stack, each on the lease of its member.

The first turns of a queue are held and the others wait.  Which turns are held follows from the turns
alone, so that handing a turn over writes nothing and all workers agree.
"""

from __future__ import annotations

from factstore.core.errors import Invalid
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import Record, RecordKey

TURNS_PER_MEMBER = 100
MAX_PARALLEL = 10_000


@quick_dataclass(frozen=True, slots=True)
class Turn(Record):
    """The place of a member in a queue.

    It is never changed, so its revision is that of its creation.  A fencing token can be made of it.

    :param max_parallel: the turn is held while fewer turns than this are ahead of it.
    :param rank: the lowest number that no other member of the queue had; None if none was requested.
    :param lease: the member's.
    """

    queue: str
    member: str
    max_parallel: int
    created_at: str
    updated_by: str
    request_id: str
    rank: int | None = None

    @property
    def record_key(self) -> RecordKey:
        """The key of the record in its stack."""
        return turn_key(self.queue, self.member)

    @property
    def size(self) -> int:
        """The bytes that count towards quotas."""
        return len(self.queue) + len(self.member)

    @property
    def order(self) -> tuple[int, str]:
        """The sort key of a queue: turns that were created in one revision are ordered by name."""
        return self.revision, self.member


@quick_dataclass(frozen=True, slots=True)
class Rank(Record):
    """A number that a member has in a queue.  Its key keeps the number from being assigned twice.

    :param lease: the member's.
    """

    queue: str
    number: int
    member: str

    @property
    def record_key(self) -> RecordKey:
        """The key of the record in its stack."""
        return rank_key(self.queue, self.number)


@quick_dataclass(frozen=True, slots=True)
class QueuedTurn:
    """A turn as it is at one revision of the stack.

    :param position: 1 for the first turn of its queue.
    :param holds: True if the turn is held, False if it waits.
    """

    turn: Turn
    position: int
    holds: bool


@quick_dataclass(frozen=True, slots=True)
class TurnRequest:
    """A request for a turn.  Create it with :meth:`of`, which checks the limits.

    :param generation: the member's generation; None for the current one.
    :param rank: True to assign a number too.
    """

    generation: str | None = None
    max_parallel: int = 1
    rank: bool = False

    @classmethod
    def of(
        cls, generation: str | None = None, max_parallel: int = 1, *, rank: bool = False
    ) -> TurnRequest:
        """Return a checked request.

        :raises Invalid: ``schema``.
        """
        if type(max_parallel) is not int or not 1 <= max_parallel <= MAX_PARALLEL:
            raise Invalid(
                f"Field 'max_parallel' must be a whole number from 1 to {MAX_PARALLEL}.",
                code="schema",
                extra={"field": "max_parallel"},
            )
        return cls(generation, max_parallel, rank)


def turn_key(queue: str, member: str) -> RecordKey:
    """Return the key of a member's turn in a queue."""
    return RecordKey(Turn, f"{queue}/{member}")


def rank_key(queue: str, number: int) -> RecordKey:
    """Return the key of a number of a queue."""
    return RecordKey(Rank, f"{queue}/{number}")
