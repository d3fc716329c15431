"""The record of the last context that was applied, which a restarted agent continues from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from factstore.agent.system.state_dir import APPLIED, StateDir


@dataclass(frozen=True)
class AppliedRecord:
    """The last context that was applied.

    :param etag: of the context, or a hash of what hooks read of it.
    :param boot: the id of the boot in which the hooks ran.
    :param hooks: a hash of all hooks; empty if the next context was begun and not completed.
    :param files: a hash of each file's content, by path.
    """

    etag: str
    boot: str
    hooks: str
    files: Mapping[str, str]

    def requires_hooks(self, previous: AppliedRecord | None, after_any_change: bool) -> bool:
        """Return True if hooks must run to get from *previous* to this record.

        :param after_any_change: True if hooks run also when no file has changed.
        """
        if previous is None or (previous.boot, previous.hooks) != (self.boot, self.hooks):
            return True
        return previous.files != self.files or (after_any_change and previous.etag != self.etag)

    def begin_next(self, state: StateDir) -> AppliedRecord:
        """Store that the next context was begun; return the stored record.

        :raises OSError: the record cannot be written.
        """
        incomplete = replace(self, hooks="")
        state.write(APPLIED, asdict(incomplete))
        return incomplete

    def try_store(self, state: StateDir) -> None:
        """Store the record; log a failure."""
        state.try_write(APPLIED, asdict(self))


def load_record(state: StateDir) -> AppliedRecord | None:
    """Return the record on disk, or None."""
    stored: dict[str, Any] | None = state.read(APPLIED)
    try:
        return AppliedRecord(**stored) if stored is not None else None
    except TypeError:  # an agent of another version stored it
        return None
