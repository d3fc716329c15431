"""The hooks: the executables of ``hooks.d``, run one after the other.

The process id of a running hook is on disk, with the time at which the process was started.  An agent
that was killed while a hook ran therefore waits for that hook after its restart, and never mistakes
another process for it.  Processes that a hook has left running, such as daemons, are not waited for.
"""

from __future__ import annotations

import hashlib
import logging
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

from factstore.agent.system.drop_ins import PassedOverLog, drop_ins, passed_over
from factstore.agent.system.host_facts import boot_id
from factstore.agent.system.process_session import signal_session
from factstore.agent.system.run_program import run_program
from factstore.agent.system.state_dir import HOOK, StateDir
from factstore.client.clock import Clock

LOG = logging.getLogger(__name__)

_POLL_SECONDS = 0.2


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
    :param redact: removes secrets from the output of hooks before it is logged.
    :param should_stop: returns True if a running hook is to be terminated.
    """

    def __init__(
        self,
        directory: Path,
        timeout: float,
        state: StateDir,
        clock: Clock,
        redact: Callable[[str], str],
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._directory = directory
        self._timeout = timeout
        self._state = state
        self._clock = clock
        self._redact = redact
        self._should_stop = should_stop
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
        self._wait_for_orphan()
        self._passed_over.update()
        for hook in self.executables():
            if not may_start():
                raise HookFailed(hook.name, "was not started, because the turn was lost")
            started = self._clock.monotonic()
            LOG.info("hook %s started", hook.name)
            result = run_program(
                hook,
                clock=self._clock,
                timeout=self._timeout,
                env=env,
                on_line=lambda line, name=hook.name: LOG.info(  # type: ignore[misc]
                    "hook %s: %s", name, self._redact(line)
                ),
                should_stop=self._should_stop,
                on_start=self._record,
            )
            self._state.delete(HOOK)
            if result.failure is not None:
                raise HookFailed(hook.name, result.failure)
            if result.left_running:
                LOG.info("hook %s left processes running; their output is not logged", hook.name)
            duration = self._clock.monotonic() - started
            LOG.info("hook %s succeeded after %.1f s", hook.name, duration)

    def _wait_for_orphan(self) -> None:
        """Wait for a hook that a killed agent has started; kill the hook if it takes too long."""
        pid = self._orphan()
        if pid is None:
            return
        LOG.warning("waiting for process %d, a hook of an agent that was killed", pid)
        deadline = self._clock.monotonic() + self._timeout
        while pid is not None and self._clock.monotonic() < deadline:
            if self._should_stop():
                raise HookFailed(
                    "of a killed agent", "is still running, and this agent is stopping"
                )
            self._clock.sleep(_POLL_SECONDS)
            pid = self._orphan()
        if pid is not None:
            LOG.warning("killing process %d, which takes longer than %g s", pid, self._timeout)
            signal_session(pid, signal.SIGKILL)

    def _record(self, pid: int) -> None:
        self._state.try_write(HOOK, {"pid": pid, "began": _start_time(pid)})

    def _orphan(self) -> int | None:
        """Return the process id of a running hook that another agent has started, or None."""
        record = self._state.read(HOOK)
        if record is None or record["began"] is None:
            return None
        pid: int = record["pid"]
        return pid if _start_time(pid) == record["began"] else None


def hooks_passed_over(directory: Path) -> dict[Path, str]:
    """Return the files of a directory with hooks that are not run, with the reasons.

    :raises OSError: the directory cannot be read.
    """
    not_executable = {
        file: "is not executable" for file in drop_ins(directory) if not os.access(file, os.X_OK)
    }
    return {**passed_over(directory), **not_executable}


def _start_time(pid: int) -> str | None:
    """Return the boot and the start time of a process, which identify it; None if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] in "ZX" else f"{boot_id()} {fields[19]}"
    except OSError:
        return None
