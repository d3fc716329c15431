"""The agent's own member, as commands beside the running agent find it in the state directory."""

from __future__ import annotations

from factstore.agent.config.settings import Settings
from factstore.agent.errors import (
    EXIT_UNAVAILABLE,
    AgentError,
    describe,
)
from factstore.agent.system.state_dir import MEMBER, StateDir


def generation_in(state: StateDir) -> str:
    """Return the generation of the agent's member.

    :raises AgentError: the agent has not joined.
    """
    generation = (state.read(MEMBER) or {}).get("generation")
    if not isinstance(generation, str):
        raise unavailable("The agent has not joined the stack yet. Start the agent first.")
    return generation


def not_a_member(state: StateDir, error: Exception) -> AgentError:
    """Return the error of a command whose member or grant is no longer valid."""
    if state.agent_pid() is None:
        return unavailable(f"No agent is running, so the turn is refused: {describe(error)}")
    return unavailable(f"The agent has to join again. Try again: {describe(error)}")


def unavailable(text: str) -> AgentError:
    """Return the error of a command that can succeed later."""
    error = AgentError(text)
    error.status = EXIT_UNAVAILABLE
    return error


def state_dir_of(settings: Settings) -> StateDir:
    """Return the state directory of the agent that runs with some settings."""
    return StateDir(settings.agent.state_dir, (settings.agent.stack, settings.agent.member))
