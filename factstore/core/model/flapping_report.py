"""The report that a path is changed again and again, which exists until that has calmed down."""

from __future__ import annotations

import hashlib

from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import Record, RecordKey

CALM_SECONDS = 600
"""The time without another return after which a report ends."""


@quick_dataclass(frozen=True, slots=True)
class FlappingReport(Record):
    """A path to which a chain of causes returns.

    :param times: how often the chain had changed the path.
    :param paths: all paths of the chain, and *writers* the members that wrote them, each once.
    :param reported_at: the time of the event.
    """

    path: str
    times: int
    paths: tuple[str, ...]
    writers: tuple[str, ...]
    reported_at: str

    @property
    def record_key(self) -> RecordKey:
        """The key of the record in its stack; a path can be longer than a name."""
        return flapping_key(self.path)

    @property
    def reason(self) -> str:
        """The report in words."""
        others = [path for path in self.paths if path != self.path]
        through = f" through {', '.join(others)}" if others else ""
        by = f", by the hooks of {' and '.join(self.writers)}" if self.writers else ""
        return (
            f"{self.path} was changed {self.times} times by a chain that returns to it{through}{by}"
        )


def flapping_key(path: str) -> RecordKey:
    """Return the key of the report on a path."""
    return RecordKey(FlappingReport, hashlib.sha256(path.encode()).hexdigest()[:32])
