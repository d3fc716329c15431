"""Actions of this member in the form of configurations, which the deployer runs."""

from __future__ import annotations

from typing import Any

from factstore.client import ActionRecord, ConfigurationList, ConfigurationRecord, Fact, Stack

ACTION = "RUN"
"""The ``deploy_action`` of hooks."""


class ActionQueue:
    """The actions of a stack for one member, with the calls that the deployer needs."""

    def __init__(self, stack: Stack) -> None:
        self.name = stack.name
        self._stack = stack

    def get(self, path: str) -> Fact:
        """Return a fact that is an input."""
        return self._stack.get(path)

    def configurations(
        self, member: str, *, if_none_match: str | None = None, wait: float = 0
    ) -> ConfigurationList | None:
        """Return the actions that have not ended; see :meth:`Stack.member_actions`."""
        found = self._stack.member_actions(member, if_none_match=if_none_match, wait=wait)
        if found is None:
            return None
        runs = [_record(member, each.id, each.hook, each.state) for each in found.actions]
        return ConfigurationList(runs, found.etag)

    def configuration(self, member: str, name: str) -> _QueuedAction:
        """Return an action by its id."""
        return _QueuedAction(self._stack, member, name)


class _QueuedAction:
    """One action, with the calls that the deployer needs."""

    def __init__(self, stack: Stack, member: str, name: str) -> None:
        self._action = stack.action(name)
        self._member = member

    def show(self) -> ConfigurationRecord | None:
        """Return the action.

        :raises NotFound: it does not exist.
        """
        found = self._action.show()
        if found is None:
            return None
        state = next((e.state for e in found.results if e.member == self._member), "lost")
        return _record(self._member, found.id, found.hook, state, found)

    def report(self, identifier: str, state: str, **result: Any) -> object:
        """Report the progress of the run, or its end.

        :raises NotFound: the action does not exist.
        :raises Conflict: the run has ended.
        """
        return self._action.report(self._member, state, **result)


def _record(
    member: str, identifier: str, hook: str, state: str, found: ActionRecord | None = None
) -> ConfigurationRecord:
    details: dict[str, Any] = {}
    if found is not None:
        details = {
            "config": found.config,
            "options": found.options,
            "inputs": found.inputs,
            "input_facts": found.input_facts,
        }
    return ConfigurationRecord(
        member=member,
        name=identifier,
        id=identifier,
        sequence=0,
        state=state,
        waits_for=(),
        group=hook,
        outputs=(),
        depends_on=(),
        action=ACTION,
        on_interrupt="fail",
        timeout=found.timeout if found is not None else 0,
        result=None,
        **details,
    )
