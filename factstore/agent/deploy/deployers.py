"""The deployers of an agent: one for configurations, another one for actions."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from factstore.agent.config.settings import Settings
from factstore.agent.deploy.action_queue import ActionQueue
from factstore.agent.deploy.deployer import Deployer
from factstore.agent.system.state_dir import make_directory
from factstore.client import Stack
from factstore.client.clock import Clock

ACTIONS = "actions"
"""The directory of the run of an action, below the state directory."""


def make_deployers(
    settings: Settings, stack: Stack, is_present: Callable[[], bool], clock: Clock
) -> Iterator[tuple[str, Deployer]]:
    """Yield a noun for the log and a deployer for each kind of runs that the configuration allows."""
    member, hooks, state = settings.agent.member, settings.deploy.hooks, settings.agent.state_dir
    if hooks is None:
        return
    yield "deployment", Deployer(stack, member, hooks, state, is_present, clock)
    if settings.deploy.actions:
        directory = state / ACTIONS
        make_directory(directory)
        yield (
            "action",
            Deployer(
                ActionQueue(stack),
                member,
                hooks,
                directory,
                is_present,
                clock,
                allowed=settings.deploy.actions,
            ),
        )
