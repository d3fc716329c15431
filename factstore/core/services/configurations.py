"""Configurations: writing, reading and waiting, and reporting results.

A request that waits for configurations is woken by changes that can concern them, not by other facts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from factstore.core.model.configuration import (
    Configuration,
    ConfigurationDefinition,
    check_key,
    config_path,
    result_path,
)
from factstore.core.model.configuration_result import ConfigurationResult, StoredResult
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Author, Fact, Scope
from factstore.core.model.path import check_name, check_stack_name
from factstore.core.model.permissions import OWNER, Permissions
from factstore.core.operations.configurations import (
    DeleteConfiguration,
    PutConfiguration,
    ReportResult,
    WriteOutcome,
    configuration_missing,
)
from factstore.core.operations.operation import Committed, stack_missing
from factstore.core.services.event_service import NamingService
from factstore.core.state.configuration_changes import configurations_scope
from factstore.core.state.configuration_view import ConfigurationView
from factstore.core.state.configurations import (
    configurations,
    find_configuration,
    view_all,
    view_configurations,
    view_written,
)
from factstore.core.state.state import State


class ConfigurationService(NamingService):
    """The service for configurations."""

    def list(
        self,
        scope: Scope,
        member: str = "",
        *,
        wait: float = 0,
        unless: Callable[[tuple[ConfigurationView, ...]], bool],
        stale: bool = False,
        permissions: Permissions = OWNER,
    ) -> tuple[ConfigurationView, ...]:
        """Return the configurations of a member, or of all, in order; wait while *unless* is true.

        :param permissions: of the caller; configurations that it may not read are left out.
        :raises NotFound: there is no such stack.
        """
        check_stack_name(scope.stack)
        if member:
            check_name(member, "member")

        def can_read(configuration: Configuration) -> bool:
            return permissions.can_read(configuration.fact.path)

        def read(state: State) -> tuple[ConfigurationView, ...]:
            with state.read():
                stack_state = state.stack_state(scope)
                if stack_state is None:
                    raise stack_missing(scope)
                if not member:
                    return tuple(
                        each for each in view_all(stack_state) if can_read(each.configuration)
                    )
                found = configurations(stack_state, member)
                return view_configurations(stack_state, filter(can_read, found))

        return self._query(configurations_scope(scope), every_change=True).read(
            read, unless, wait, stale=stale
        )

    def get(
        self,
        scope: Scope,
        key: str,
        *,
        wait: float = 0,
        unless: Callable[[ConfigurationView], bool] | None = None,
        stale: bool = False,
        permissions: Permissions = OWNER,
    ) -> ConfigurationView:
        """Return a configuration; wait while *unless* is true for it, or without it until it has ended.

        :param key: the member, ``/`` and the name.
        :raises Forbidden: the caller may not read it.
        :raises NotFound: it does not exist, or was deleted meanwhile.
        """
        check_stack_name(scope.stack)
        permissions.check_read(config_path(check_key(key)))

        def read(state: State) -> ConfigurationView:
            found = _read(state, scope, key)
            if found is None:
                raise configuration_missing(scope, key)
            return found

        return self._query(configurations_scope(scope), every_change=True).read(
            read, unless or _is_running, wait, stale=stale
        )

    def put(
        self,
        scope: Scope,
        key: str,
        definition: ConfigurationDefinition,
        author: Author,
        *,
        create_only: bool,
    ) -> tuple[ConfigurationView, WriteOutcome, Cursor]:
        """Create a configuration or change its definition; the same definition changes nothing.

        :param create_only: fail if the configuration exists.
        :return: the configuration, the outcome, and the cursor of the write.
        :raises PreconditionFailed: the configuration exists, with *create_only*.
        :raises Conflict: ``configuration_circle``.
        :raises Forbidden: ``quota_exceeded``.
        """
        check_stack_name(scope.stack)
        operation = PutConfiguration(
            scope, check_key(key), definition, self._new_id(), author, create_only
        )
        while True:
            done = self._transactor.run(operation)
            facts = _written_facts(done)
            written = Configuration.parse(facts.get(config_path(key)))
            if written is not None:
                return self._view(done, written, None), done.outcome, done.cursor
            state = self._state_after(done.cursor)
            found = _read(state, scope, key) if state is not None else None
            if found is not None:
                return found, done.outcome, done.cursor
            # It was deleted after it was found unchanged, so this request follows the deletion.

    def delete(self, scope: Scope, key: str, author: Author) -> Cursor:
        """Delete a configuration and its result; return the cursor of the deletion.

        :raises NotFound: there is no such configuration.
        """
        check_stack_name(scope.stack)
        return self._transactor.run(DeleteConfiguration(scope, check_key(key), author)).cursor

    def report(
        self,
        scope: Scope,
        key: str,
        result: ConfigurationResult,
        author: Author,
        *,
        fences: Collection[str] = (),
    ) -> tuple[ConfigurationView, bool, Cursor]:
        """Store the result of a configuration.

        :param fences: generations of members; all must be alive.
        :return: the configuration, whether anything changed, and the cursor of the write.
        :raises NotFound: there is no such configuration.
        :raises Conflict: ``configuration_changed``, ``configuration_ended`` or ``generation_stale``.
        """
        check_stack_name(scope.stack)
        done = self._transactor.run(ReportResult(scope, check_key(key), result, author, fences))
        reported = done.outcome
        fact = _written_facts(done).get(result_path(key), reported.result.fact)
        stored = replace(reported.result, fact=fact)
        view = self._view(done, reported.configuration, stored)
        return view, reported.changed, done.cursor

    def _view(
        self, done: Committed[Any], written: Configuration, result: StoredResult | None
    ) -> ConfigurationView:
        """Return a configuration as a write has left it."""
        state = self._state_after(done.cursor)
        if state is None:
            return view_written(None, written, result)
        with state.read():
            stack = done.transaction.stack.id if done.transaction else ""
            return view_written(state.stack_state(stack), written, result)


def _read(state: State, scope: Scope, key: str) -> ConfigurationView | None:
    with state.read():
        stack_state = state.stack_state(scope)
        found = find_configuration(stack_state, key) if stack_state else None
        return view_configurations(stack_state, (found,))[0] if stack_state and found else None


def _written_facts(done: Committed[Any]) -> dict[str, Fact]:
    puts = done.transaction.puts if done.transaction else ()
    return {fact.path: fact.at(done.cursor.revision) for fact in puts}


def _is_running(found: ConfigurationView) -> bool:
    return not found.ended
