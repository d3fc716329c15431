"""The checksums of a stack's context, kept up to date with each change."""

from __future__ import annotations

from collections import defaultdict

from factstore.core.model.checksum import MODULUS, checksum_text, fact_hash, member_hash
from factstore.core.model.fact import Fact
from factstore.core.model.member import Member
from factstore.core.model.path import RESULTS
from factstore.core.model.permissions import CONFIGS, Permissions


class ContextChecksum:
    """Sums of hashes, from which the checksum of each reader's view is put together.

    There is one sum for each part of the stack that some views leave out: the facts below
    ``results/``, those below ``configs/``, those of each member below ``configs/``, and all others
    with the members.
    """

    def __init__(self) -> None:
        self._sums: defaultdict[str, int] = defaultdict(int)

    def replace_fact(self, former: Fact | None, fact: Fact | None, epoch: str) -> None:
        """Record that a fact replaces another; None for no fact."""
        if former is not None:
            self._add_fact(former, -fact_hash(former, epoch))
        if fact is not None:
            self._add_fact(fact, fact_hash(fact, epoch))

    def _add_fact(self, fact: Fact, total: int) -> None:
        for part in _parts(fact.path):
            self._add(part, total)

    def add_member(self, member: Member) -> None:
        """Record a new living member."""
        self._add("", member_hash(member))

    def remove_member(self, member: Member) -> None:
        """Record that a member does not live any more."""
        self._add("", -member_hash(member))

    def of_view(self, permissions: Permissions, *, results: bool) -> str:
        """Return the checksum of the context that a caller reads.

        :param results: True if it includes the facts below ``results/``.
        """
        sums = self._sums
        total = sums.get("", 0) + (sums.get(RESULTS, 0) if results else 0)
        if permissions.unrestricted:
            total += sums.get(CONFIGS, 0)
        elif permissions.member is not None:
            total += sums.get(f"{CONFIGS}{permissions.member}/", 0)
        return checksum_text(total)

    def _add(self, part: str, total: int) -> None:
        total = (self._sums[part] + total) % MODULUS
        if total:
            self._sums[part] = total
        else:
            del self._sums[part]


def _parts(path: str) -> tuple[str, ...]:
    """Return the parts of the stack that contain a fact."""
    if path.startswith(RESULTS):
        return (RESULTS,)
    if path.startswith(CONFIGS):
        folder, _, _ = path.removeprefix(CONFIGS).partition("/")
        own = f"{CONFIGS}{folder}/"
        return (CONFIGS, own) if path.startswith(own) else (CONFIGS,)
    return ("",)
