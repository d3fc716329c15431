"""The member's read set on the service, which is never narrower than what was read.

Until a context was applied, and if the service cannot store a read set, the member reads everything.
"""

from __future__ import annotations

import logging
import threading
from typing import NamedTuple

from factstore.agent.config.reads import EVERYTHING, Reads
from factstore.agent.errors import describe
from factstore.agent.session.membership import Membership
from factstore.client.errors import FactstoreError, Forbidden, NotFound, TooLarge, Unauthorized

LOG = logging.getLogger(__name__)


class _Stored(NamedTuple):
    """The read set that the service has for an incarnation, and its digest; empty for none."""

    generation: str | None
    reads: Reads
    digest: str = ""


class ReadSetUpload:
    """The read set that the member is to have, and the one that it has.  Several threads may use it."""

    def __init__(self, membership: Membership) -> None:
        self._membership = membership
        self._wanted = EVERYTHING
        self._stored: _Stored | None = None
        self._unusable: str | None = None  # the generation whose read sets the service refuses
        self._lock = threading.Lock()

    def replace(self, reads: Reads) -> None:
        """Read this and nothing else, once :meth:`upload` has stored it."""
        self._wanted = reads.reduced()

    def widen(self, reads: Reads) -> None:
        """Read this, too."""
        self._wanted = (self._wanted | reads).reduced()

    @property
    def digest(self) -> str:
        """The digest of the read set to wait with; empty if the member reads everything."""
        stored = self._stored
        if stored is None or stored[:2] != (self._membership.generation, self._wanted):
            return ""
        return stored.digest

    def reportable(self, applied: str | None) -> str | None:
        """Return the cursor that was applied, or None if the service would misunderstand it.

        With a read set that is too narrow, the service would count changes as applied that are not.
        """
        return applied if applied is not None and self.upload() else None

    def upload(self) -> bool:
        """Store the read set if it has changed; return True if the one on the service is wide enough.

        A revision may be reported as applied only then.
        """
        with self._lock:
            generation, wanted = self._membership.generation, self._wanted
            if generation is None:
                return False
            if self._unusable == generation:
                wanted = EVERYTHING
            stored = self._stored
            if stored is None or stored.generation != generation:
                fresh = not self._membership.inherited  # a new incarnation reads everything
                stored = self._stored = _Stored(generation, EVERYTHING) if fresh else None
            if stored is not None and stored.reads == wanted:
                return True
            try:
                self._stored = _Stored(generation, wanted, self._store(wanted))
                return True
            except (Forbidden, NotFound, TooLarge, Unauthorized) as error:
                # The quota is used up, the credential has no rule for read sets, or the service is of
                # an earlier version.
                LOG.info("the member has no read set: %s", describe(error))
                if self._unusable == generation:  # nor may it be deleted, so it was never stored
                    self._stored = stored = _Stored(generation, EVERYTHING)
                self._unusable = generation
                return stored is not None and stored.reads.is_everything
            except FactstoreError as error:
                LOG.debug("the read set could not be stored: %s", describe(error))
                return False

    def _store(self, reads: Reads) -> str:
        """Store a read set, and return its digest."""
        member = self._membership.member
        if not reads.is_everything:
            return member.store_read_set(reads.facts, members=reads.members, groups=reads.groups)
        try:
            member.delete_read_set()
        except NotFound:
            LOG.debug("the member has no read set")
        return ""
