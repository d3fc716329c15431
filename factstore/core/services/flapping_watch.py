"""Finds chains of causes that return to their own path, and reports each of them once."""

from __future__ import annotations

from collections.abc import Sequence

from factstore.core.errors import CursorExpired
from factstore.core.model.fact import Scope
from factstore.core.model.flapping_report import CALM_SECONDS, FlappingReport, flapping_key
from factstore.core.operations.flapping import ReportFlapping
from factstore.core.operations.transactor import Transactor
from factstore.core.ports import Clock, Store
from factstore.core.services.why import WhyService

RENEWAL_SECONDS = CALM_SECONDS / 10


class FlappingWatch:
    """Looks at the paths that change most often.

    Each worker finds the same chains; a guard on the report lets one of them write it.
    """

    def __init__(self, store: Store, clock: Clock, transactor: Transactor, why: WhyService) -> None:
        self._store = store
        self._clock = clock
        self._transactor = transactor
        self._why = why
        self._renewed: dict[tuple[Scope, str], float] = {}

    def look(self) -> None:
        """Look at all stacks once."""
        state = self._store.state()
        with state.read():
            found = [
                (each.stack.scope, paths)
                for each in state.all_stacks()
                if (paths := each.caused_paths.take_frequent(self._why.flapping_times))
            ]
        now = self._clock.monotonic()
        self._renewed = {k: at for k, at in self._renewed.items() if now - at < RENEWAL_SECONDS}
        for scope, paths in found:
            self._check(scope, paths)

    def _check(self, scope: Scope, paths: Sequence[str]) -> None:
        state, facts = self._store.state(), []
        for path in paths:
            fact, reported = state.fact(scope, path), state.record(scope, flapping_key(path))
            is_recent = reported is not None and (scope, path) in self._renewed
            if fact is not None and fact.cause and not is_recent:
                facts.append(fact)
        if not facts:
            return
        try:
            loops = list(self._why.loops(scope, facts))
        except CursorExpired:
            return  # the history is lost so quickly that later changes are looked at instead
        for found in loops:
            report = FlappingReport(
                found.path, found.times, found.paths, found.writers, self._clock.timestamp()
            )
            self._transactor.run(ReportFlapping(scope, report), state.epoch)
            self._renewed[scope, found.path] = self._clock.monotonic()
