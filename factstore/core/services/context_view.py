"""The view of a context: the parts of a stack that a caller requests and may read."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import field

from factstore.core.model.fact import Fact
from factstore.core.model.path import RESULTS, check_name
from factstore.core.model.permissions import CONFIGS, OWNER, Permissions
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.services.context_document import PEERS, SELF, span
from factstore.core.state.stack_state import StackState


@quick_dataclass(frozen=True, slots=True)
class ContextView:
    """A view.

    :param results: True if it includes the facts below ``results/``.
    :param member: the living member that reads the context; empty for none.
    :param parts: the parts that the document has for the member.
    :param permissions: of the caller; facts that it may not read are left out.
    :param read_set: the digest of a read set: only changes that concern it count, if it is the present
        one of the member; empty if all changes count.
    """

    results: bool = False
    member: str = ""
    parts: Collection[str] = (SELF, PEERS)
    permissions: Permissions = OWNER
    read_set: str = ""
    _hash: int = field(default=0, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        own = self.results, self.member, self.parts, self.permissions, self.read_set
        object.__setattr__(self, "_hash", hash(own))

    def __hash__(self) -> int:
        return self._hash  # caches look views up for each read

    def check(self) -> None:
        """Raise Invalid if the member's name is malformed."""
        if self.member:
            check_name(self.member, "member")

    @property
    def shown_parts(self) -> Collection[str]:
        """The parts; none without a member."""
        return self.parts if self.member else ()

    def shows(self, path: str) -> bool:
        """Return True if the document contains a fact."""
        return (self.results or not path.startswith(RESULTS)) and self.permissions.can_read(path)

    def shown(self, facts: Sequence[Fact]) -> list[Fact]:
        """Return those of a stack's facts that the document contains.

        :param facts: ordered by path.
        """
        found = list(facts)
        if not self.results:
            first, last = span(found, RESULTS)
            del found[first:last]
        if not self.permissions.unrestricted:
            first, last = span(found, CONFIGS)
            found[first:last] = [fact for fact in found[first:last] if self.shows(fact.path)]
        return found

    def exists(self, stack_state: StackState) -> bool:
        """Return True unless the member has departed."""
        return not self.member or self.member in stack_state.live_members

    def last_change(self, stack_state: StackState) -> int:
        """Return the revision of the last change that the reader has to apply."""
        if self.results:
            return stack_state.changed
        if self.current_read_set(stack_state):
            return stack_state.convergence.target_of(self.member)
        return stack_state.target

    def current_read_set(self, stack_state: StackState | None) -> str:
        """Return the digest of the read set that limits which changes count; empty if all count."""
        if stack_state is None or self.results:
            return ""
        current = stack_state.convergence.digest(self.member)
        return current if current == self.read_set else ""

    def checksum(self, stack_state: StackState) -> str:
        """Return the checksum of the document, without the parts for the member."""
        return stack_state.checksum.of_view(
            self.permissions,
            stack_state.facts,
            stack_state.live_members,
            stack_state.epoch,
            results=self.results,
        )

    def document_key(self, stack_state: StackState) -> tuple[str, str, bool, str]:
        """Return a key that is the same for all callers with the same document."""
        paths = stack_state.paths
        first = bisect_left(paths, CONFIGS)
        hides = first < len(paths) and paths[first].startswith(CONFIGS)
        return *self._source(stack_state), self.results, self._reader if hides else ""

    def changes_key(self, stack_state: StackState, since: int) -> tuple[str, str, bool, str, int]:
        """Return a key that is the same for all callers with the same changes since a revision."""
        # The changes may contain the deletion of what no document contains any more.
        return *self._source(stack_state), self.results, self._reader, since

    @staticmethod
    def _source(stack_state: StackState) -> tuple[str, str]:
        """Return what a restored store, whose revisions begin again, does not share with this one."""
        return stack_state.epoch, stack_state.stack.id

    @property
    def _reader(self) -> str:
        return "" if self.permissions.unrestricted else f"/{self.permissions.member or ''}"
