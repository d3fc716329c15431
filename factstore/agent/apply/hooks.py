"""The hooks: the executables of ``hooks.d``, run one after the other."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from factstore.agent.apply.program_runner import ProgramRunner
from factstore.agent.system.drop_ins import PassedOverLog, drop_ins, passed_over


class HookFailed(Exception):
    """A hook failed; the hooks after it were not run.

    :ivar name: the hook's file name.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(reason)
        self.name = name


class Hooks:
    """The hooks of a directory.

    :param timeout: the time limit of each hook, in seconds.
    """

    def __init__(self, directory: Path, timeout: float, runner: ProgramRunner) -> None:
        self._directory = directory
        self._timeout = timeout
        self._runner = runner
        self._passed_over = PassedOverLog(self.passed_over)

    def passed_over(self) -> dict[Path, str]:
        """Return the files that are not run although somebody may expect that, with the reasons.

        :raises OSError: the directory cannot be read.
        """
        return hooks_passed_over(self._directory)

    def executables(self) -> list[Path]:
        """Return the hooks in the order in which they run.

        :raises OSError: the directory cannot be read.
        """
        return [file for file in drop_ins(self._directory) if os.access(file, os.X_OK)]

    def digest(self) -> str:
        """Return a hash of the names and contents of all hooks.

        :raises OSError: the directory or a hook cannot be read.
        """
        known = [
            (file.name, hashlib.sha256(file.read_bytes()).hexdigest())
            for file in self.executables()
        ]
        return hashlib.sha256(repr(known).encode()).hexdigest()

    def run(self, env: Mapping[str, str], may_start: Callable[[], bool] = lambda: True) -> None:
        """Run all hooks.

        :param may_start: called before each hook; returns False if no further hook may start.
        :raises HookFailed: a hook failed or may not start.
        :raises OSError: the directory cannot be read.
        """
        self.wait_for_orphan()
        self._passed_over.update()
        for hook in self.executables():
            if not may_start():
                raise HookFailed(hook.name, "was not started, because the turn was lost")
            failure, _ = self._runner.run(f"hook {hook.name}", hook, (), self._timeout, env)
            if failure is not None:
                raise HookFailed(hook.name, failure)

    def wait_for_orphan(self) -> None:
        """Wait for a hook or command that a killed agent has started.

        :raises HookFailed: it still runs, and this agent is stopping.
        """
        if not self._runner.wait_for_orphan(self._timeout):
            reason = "is still running, and this agent is stopping"
            raise HookFailed("of a killed agent", reason)


def hooks_passed_over(directory: Path) -> dict[Path, str]:
    """Return the files of a directory with hooks that are not run, with the reasons.

    :raises OSError: the directory cannot be read.
    """
    not_executable = {
        file: "is not executable" for file in drop_ins(directory) if not os.access(file, os.X_OK)
    }
    return {**passed_over(directory), **not_executable}
