"""Alarms: setting, reading and waiting."""

from __future__ import annotations

from collections.abc import Callable

from factstore.core.model.alarm import Alarm
from factstore.core.model.alarm_definition import AlarmDefinition
from factstore.core.model.comparison import Number
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Author, Scope
from factstore.core.model.path import check_name, check_stack_name
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.operations.alarms import DeleteAlarm, SetAlarm, SetOutcome, alarm_missing
from factstore.core.services.base import Page
from factstore.core.services.event_service import EventService
from factstore.core.state.state import State


@quick_dataclass(frozen=True, slots=True)
class AlarmView:
    """An alarm with the present evaluation of its condition.

    :param is_met: True if the condition is true now; None without data.
    :param value: the number now; None if no number decides.
    :param ignored: the paths or members whose values are no numbers that count; at most 100.
    :param fault: the reason why the condition is not evaluated; None if it is.
    """

    alarm: Alarm
    is_met: bool | None = None
    value: Number | None = None
    ignored: tuple[str, ...] = ()
    fault: str | None = None


class AlarmService(EventService):
    """The service for alarms."""

    def get(
        self,
        scope: Scope,
        name: str,
        *,
        wait: float = 0,
        unless: Callable[[AlarmView], bool] | None = None,
        stale: bool = False,
    ) -> AlarmView:
        """Return an alarm; wait for it.

        :param wait: seconds to block while the alarm is missing; if it exists, while *unless* is true,
            or without *unless* until its record changes, for example because it is raised.
        :param stale: read this worker's state, without reading the database.
        :return: the alarm; after *wait* seconds *unless* may still be true for it.
        :raises NotFound: it does not exist; at once with *unless*, or if it was deleted.
        """
        _check(scope, name)
        query = self._query(scope, every_change=True)
        found = query.read_changed(
            lambda state: _read_alarm(state, scope, name),
            lambda found, first: found.alarm == first.alarm,
            unless,
            wait,
            stale=stale,
        )
        if found is None:
            raise alarm_missing(scope, name)
        return found

    def list(
        self, scope: Scope, *, limit: int, marker: str = "", at: Cursor | None = None
    ) -> Page[Alarm]:
        """Return a page of alarms, ordered by name.

        :param at: the cursor of the first page, so that all pages show one revision.
        :raises CursorExpired: the pages' revision is compacted; list again from the first page.
        """
        check_stack_name(scope.stack)
        if marker:
            check_name(marker, "alarm")
        return self._page(scope, Alarm, limit, marker, at)

    def put(
        self,
        scope: Scope,
        name: str,
        definition: AlarmDefinition,
        author: Author,
        *,
        create_only: bool,
    ) -> tuple[AlarmView, SetOutcome, Cursor]:
        """Create an alarm or change its definition; the same definition changes nothing.

        :param create_only: fail if an alarm with that name exists.
        :return: the alarm, the outcome, and the cursor of the write.
        :raises PreconditionFailed: the alarm exists, with *create_only*.
        :raises Forbidden: ``quota_exceeded``.
        """
        _check(scope, name)
        done = self._transactor.run(SetAlarm(scope, name, definition, author, create_only))
        alarm = done.written_record(done.outcome.alarm)
        state = self._state_after(done.cursor)
        found = _read_alarm(state, scope, name) if state is not None else None
        if found is None or found.alarm.revision < alarm.revision:  # the state is older
            found = AlarmView(alarm)
        return found, done.outcome.outcome, done.cursor

    def delete(self, scope: Scope, name: str, author: Author) -> Cursor:
        """Delete an alarm; return the cursor of the deletion.

        :raises NotFound: there is no such alarm.
        """
        _check(scope, name)
        return self._transactor.run(DeleteAlarm(scope, name, author)).cursor


def _read_alarm(state: State, scope: Scope, name: str) -> AlarmView | None:
    """Return an alarm with its evaluation, or None if it does not exist."""
    with state.read():
        stack_state = state.stack_state(scope)
        alarm = stack_state.records(Alarm).get(name) if stack_state else None
        if stack_state is None or alarm is None:
            return None
        found = stack_state.alarms.reading(alarm)
        if found is None:
            return AlarmView(alarm)
        reading, ignored = found
        fault = stack_state.alarms.fault(alarm)
        return AlarmView(alarm, reading.is_met, reading.value, tuple(ignored), fault)


def _check(scope: Scope, name: str) -> None:
    check_stack_name(scope.stack)
    check_name(name, "alarm")
