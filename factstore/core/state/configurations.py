"""The states of configurations, which follow from facts and members alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from factstore.core.model.configuration import Configuration, config_path, result_path
from factstore.core.model.configuration_result import StoredResult
from factstore.core.model.permissions import CONFIGS
from factstore.core.state.stack_state import StackState

ConfigurationState = Literal["waiting", "due", "in_progress", "complete", "failed", "lost"]
CONFIGURATION_STATES: tuple[ConfigurationState, ...] = get_args(ConfigurationState)


@dataclass(frozen=True, slots=True)
class ConfigurationView:
    """A configuration with its state.

    :param state: ``lost`` if the member ended while the configuration was in progress.
    :param waits_for: the keys of the configurations that it waits for.
    :param result: of the present definition; None before the first report.
    """

    configuration: Configuration
    state: ConfigurationState
    waits_for: tuple[str, ...] = ()
    result: StoredResult | None = None

    @property
    def ended(self) -> bool:
        """True if nothing more is to be expected unless the definition changes."""
        return self.state in ("complete", "failed", "lost")


def find_configuration(stack_state: StackState, key: str) -> Configuration | None:
    """Return a configuration, or None if it does not exist."""
    return Configuration.parse(stack_state.facts.get(config_path(key)))


def configurations(stack_state: StackState, member: str = "") -> list[Configuration]:
    """Return the configurations of a member, or of all members, in the order of their sequence."""
    found = map(stack_state.facts.get, stack_state.below(f"{CONFIGS}{member}".rstrip("/")))
    parsed = [each for fact in found if (each := Configuration.parse(fact)) is not None]
    return sorted(parsed, key=lambda each: each.sequence)


def view_configuration(stack_state: StackState, configuration: Configuration) -> ConfigurationView:
    """Return a configuration with its state."""
    result = _result(stack_state, configuration)
    if result is None:
        waits_for = tuple(_waits_for(stack_state, configuration))
        return ConfigurationView(configuration, "waiting" if waits_for else "due", waits_for)
    state: ConfigurationState = result.result.state
    if state == "in_progress" and configuration.member not in stack_state.live_members:
        state = "lost"
    return ConfigurationView(configuration, state, (), result)


def _result(stack_state: StackState, configuration: Configuration) -> StoredResult | None:
    """Return the result of the present definition, or None."""
    found = StoredResult.parse(stack_state.facts.get(result_path(configuration.key)))
    return found if found is not None and found.result.id == configuration.id else None


def _waits_for(stack_state: StackState, configuration: Configuration) -> Iterator[str]:
    if configuration.definition.undeploys:
        yield from _dependents_in_use(stack_state, configuration)
        return
    for key in configuration.definition.depends_on:
        other = find_configuration(stack_state, key)
        if other is None or other.definition.undeploys or not _is_complete(stack_state, other):
            yield key


def _dependents_in_use(stack_state: StackState, configuration: Configuration) -> Iterator[str]:
    """Yield the configurations that must be undeployed first, because they depend on this one."""
    for other in configurations(stack_state):
        if configuration.key not in other.definition.depends_on:
            continue
        if other.definition.undeploys:
            if not _is_complete(stack_state, other):
                yield other.key
        elif _result(stack_state, other) is not None:  # else it was never deployed
            yield other.key


def _is_complete(stack_state: StackState, configuration: Configuration) -> bool:
    found = _result(stack_state, configuration)
    return found is not None and found.result.state == "complete"
