"""The checksums of a stack's context, which are computed when somebody reads them.

While they are read, each change costs as much as the items that it adds and removes.  When more
changes were made since the last reading than there are items, it costs less to compute them again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from factstore.core.model.checksum import MODULUS, checksum_text, fact_hash, member_hash
from factstore.core.model.fact import Fact
from factstore.core.model.member import Member
from factstore.core.model.path import RESULTS
from factstore.core.model.permissions import CONFIGS, Permissions

SPARE_CHANGES = 100  # to follow, besides one for each item, before the next reading


class ContextChecksum:
    """Sums of hashes, from which the checksum of each reader's view is put together.

    There is one sum for each part of the stack that some views leave out: the facts below
    ``results/``, those below ``configs/``, those of each member below ``configs/``, and all others
    with the members.

    :ivar sums: None while nobody reads them, so that no change has to be recorded.
    """

    __slots__ = ("_changes_left", "sums")

    def __init__(self) -> None:
        self.sums: defaultdict[str, int] | None = None
        self._changes_left = 0

    def replace_fact(self, former: Fact | None, fact: Fact | None, epoch: str) -> None:
        """Record that a fact replaces another; None for no fact."""
        if self._follows():
            if former is not None:
                self._add_fact(former, -fact_hash(former, epoch))
            if fact is not None:
                self._add_fact(fact, fact_hash(fact, epoch))

    def add_member(self, member: Member) -> None:
        """Record a new living member."""
        if self._follows():
            self._add("", member_hash(member))

    def remove_member(self, member: Member) -> None:
        """Record that a member does not live any more."""
        if self._follows():
            self._add("", -member_hash(member))

    def of_view(
        self,
        permissions: Permissions,
        facts: Mapping[str, Fact],
        members: Mapping[str, Member],
        epoch: str,
        *,
        results: bool,
    ) -> str:
        """Return the checksum of the context that a caller reads.

        :param facts: all facts of the stack.
        :param members: the living members.
        :param epoch: of the store.
        :param results: True if it includes the facts below ``results/``.
        """
        sums = self.sums
        if sums is None:
            sums = self.sums = defaultdict(int)
            for fact in facts.values():
                self._add_fact(fact, fact_hash(fact, epoch))
            for member in members.values():
                self._add("", member_hash(member))
        self._changes_left = len(facts) + len(members) + SPARE_CHANGES
        total = sums.get("", 0) + (sums.get(RESULTS, 0) if results else 0)
        if permissions.unrestricted:
            total += sums.get(CONFIGS, 0)
        elif permissions.member is not None:
            total += sums.get(f"{CONFIGS}{permissions.member}/", 0)
        return checksum_text(total)

    def _follows(self) -> bool:
        """Return True if the sums include the change that is made now."""
        if self.sums is None:
            return False
        self._changes_left -= 1
        if self._changes_left < 0:
            self.sums = None
        return self.sums is not None

    def _add_fact(self, fact: Fact, total: int) -> None:
        for part in _parts(fact.path):
            self._add(part, total)

    def _add(self, part: str, total: int) -> None:
        sums = self.sums
        assert sums is not None  # noqa: S101 - they are followed
        total = (sums[part] + total) % MODULUS
        if total:
            sums[part] = total
        else:
            del sums[part]


def _parts(path: str) -> tuple[str, ...]:
    """Return the parts of the stack that contain a fact."""
    if path.startswith(RESULTS):
        return (RESULTS,)
    if path.startswith(CONFIGS):
        folder, _, _ = path.removeprefix(CONFIGS).partition("/")
        own = f"{CONFIGS}{folder}/"
        return (CONFIGS, own) if path.startswith(own) else (CONFIGS,)
    return ("",)
