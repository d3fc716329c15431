"""The parts that apply contexts, put together."""

from __future__ import annotations

from collections.abc import Callable

from factstore.agent.apply.file_writer import FileWriter
from factstore.agent.apply.files import file_specs
from factstore.agent.apply.hooks import Hooks
from factstore.agent.apply.program_runner import ProgramRunner
from factstore.agent.apply.reconciler import ReadSet, Reconciler
from factstore.agent.apply.sensitive_facts import SensitiveFacts
from factstore.agent.config.settings import Settings
from factstore.agent.system.state_dir import StateDir
from factstore.client.clock import Clock


def build_reconciler(
    settings: Settings,
    sensitive: SensitiveFacts,
    state: StateDir,
    clock: Clock,
    read_set: ReadSet,
    boot_id: Callable[[], str],
    should_stop: Callable[[], bool] = lambda: False,
) -> Reconciler:
    """Return the reconciler of an agent.

    :param boot_id: returns the id of the current boot.
    :param should_stop: returns True if running programs are to be terminated.
    """
    runner = ProgramRunner(state, clock, sensitive.redact, should_stop)
    react = settings.react
    return Reconciler(
        settings,
        file_specs(settings),
        FileWriter(state, clock, runner),
        Hooks(react.hooks, react.hook_timeout, runner),
        sensitive,
        state,
        read_set,
        boot_id,
    )
