"""The states of configurations, which follow from facts and members alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from types import MappingProxyType

from factstore.core.model.configuration import Configuration, config_path, result_path
from factstore.core.model.configuration_result import StoredResult
from factstore.core.model.fact import Stack
from factstore.core.model.permissions import CONFIGS
from factstore.core.state.configuration_view import ConfigurationState, ConfigurationView
from factstore.core.state.stack_state import StackState
from factstore.core.state.totals import Totals


def find_configuration(stack_state: StackState, key: str) -> Configuration | None:
    """Return a configuration, or None if it does not exist."""
    return Configuration.parse(stack_state.facts.get(config_path(key)))


def configurations(stack_state: StackState, member: str = "") -> list[Configuration]:
    """Return the configurations of a member, or of all members, in the order of their sequence."""
    found = map(stack_state.facts.get, stack_state.below(f"{CONFIGS}{member}".rstrip("/")))
    parsed = [each for fact in found if (each := Configuration.parse(fact)) is not None]
    return sorted(parsed, key=lambda each: each.sequence)


def view_all(stack_state: StackState) -> tuple[ConfigurationView, ...]:
    """Return all configurations with their states, in order; they are read once for each change."""
    changes = stack_state.configuration_changes
    if changes.views is None:
        changes.views = view_configurations(stack_state, configurations(stack_state))
    return changes.views


def view_configurations(
    stack_state: StackState, found: Iterable[Configuration]
) -> tuple[ConfigurationView, ...]:
    """Return configurations of a stack with their states."""
    graph = _Graph(stack_state)
    return tuple(_view(graph, each) for each in found)


def view_written(
    stack_state: StackState | None, written: Configuration, result: StoredResult | None
) -> ConfigurationView:
    """Return a configuration as it was written, even if it was changed or deleted meanwhile.

    :param stack_state: None if the stack was deleted meanwhile.
    :param result: of this definition; None if there was none yet.
    """
    if stack_state is None:
        stack_state = StackState(Stack("", "", "", "", "", "", "", ""), Totals())
    return _view(_Graph(stack_state, {written.key: written}, {written.key: result}), written)


class _Graph:
    """The configurations of a stack, their results and dependents.

    Each is parsed once: there can be 32000 dependencies on 1000 configurations, all of them long.
    """

    def __init__(
        self,
        stack_state: StackState,
        found: Mapping[str, Configuration] = MappingProxyType({}),
        results: Mapping[str, StoredResult | None] = MappingProxyType({}),
    ) -> None:
        self.stack_state = stack_state
        self._found: dict[str, Configuration | None] = dict(found)
        self._results = dict(results)

    def find(self, key: str) -> Configuration | None:
        if key not in self._found:
            self._found[key] = find_configuration(self.stack_state, key)
        return self._found[key]

    def result(self, configuration: Configuration) -> StoredResult | None:
        """Return the result of the present definition, or None."""
        key = configuration.key
        if key not in self._results:
            found = StoredResult.parse(self.stack_state.facts.get(result_path(key)))
            present = found is not None and found.result.id == configuration.id
            self._results[key] = found if present else None
        return self._results[key]

    def is_complete(self, configuration: Configuration) -> bool:
        found = self.result(configuration)
        return found is not None and found.result.state == "complete"

    def is_deployed(self, configuration: Configuration) -> bool:
        """Return True if something was deployed that has not been undeployed."""
        if configuration.definition.undeploys:
            return configuration.deployed_on is not None and not self.is_complete(configuration)
        return configuration.deployed_on is not None or self.result(configuration) is not None

    @cached_property
    def dependents(self) -> dict[str, list[Configuration]]:
        """The configurations that depend on each one, in the order of their sequence.

        They include those of which a former definition depends on it, until the present is complete.
        """
        found: dict[str, list[Configuration]] = {}
        for each in configurations(self.stack_state):
            keys = dict.fromkeys(each.definition.depends_on)
            if each.deployed_on and not self.is_complete(each):
                keys |= dict.fromkeys(each.deployed_on)
            for key in keys:
                found.setdefault(key, []).append(each)
        return found


def deployed_on(stack_state: StackState, former: Configuration) -> tuple[str, ...] | None:
    """Return the keys on which depends what a definition and those before it have deployed.

    :return: None if nothing is deployed.
    """
    graph = _Graph(stack_state)
    if not graph.is_deployed(former):
        return None
    known = former.definition.depends_on if graph.result(former) is not None else ()
    before = () if graph.is_complete(former) else former.deployed_on or ()
    # Failures with ever new dependencies must not make the list ever longer.
    return tuple(
        key
        for key in dict.fromkeys((*known, *before))
        if find_configuration(stack_state, key) is not None
    )


def _view(graph: _Graph, configuration: Configuration) -> ConfigurationView:
    result, deployed = graph.result(configuration), graph.is_deployed(configuration)
    if result is None:
        waits_for = tuple(_waits_for(graph, configuration))
        state: ConfigurationState = "waiting" if waits_for else "due"
        return ConfigurationView(configuration, state, deployed, waits_for)
    state = result.result.state
    if state == "in_progress":
        member = graph.stack_state.live_members.get(configuration.member)
        if member is None or member.declared_only:
            state = "lost"
    return ConfigurationView(configuration, state, deployed, (), result)


def _waits_for(graph: _Graph, configuration: Configuration) -> Iterator[str]:
    if configuration.definition.undeploys:
        yield from _dependents_in_use(graph, configuration)
        return
    for key in configuration.definition.depends_on:
        other = graph.find(key)
        if other is None or other.definition.undeploys or not graph.is_complete(other):
            yield key


def _dependents_in_use(graph: _Graph, configuration: Configuration) -> Iterator[str]:
    """Yield the configurations that must be undeployed first, because they depend on this one."""
    for other in graph.dependents.get(configuration.key, ()):
        if graph.is_deployed(other) or (
            other.definition.undeploys and not graph.is_complete(other)
        ):
            yield other.key
