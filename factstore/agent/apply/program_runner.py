"""Programs that change the instance, run one after the other, so that no two of them overlap.

The process id of the running program is on disk, with the time at which the process was started.  An
agent that was killed while a program ran therefore waits for that program after its restart, and never
mistakes another process for it.  Processes that a program has left running, such as daemons, are not
waited for.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from factstore.agent.system.process_identity import start_time
from factstore.agent.system.process_session import signal_session
from factstore.agent.system.run_program import run_program
from factstore.agent.system.state_dir import HOOK, StateDir
from factstore.client.clock import Clock

LOG = logging.getLogger(__name__)

_POLL_SECONDS = 0.2


class ProgramRunner:
    """Runs programs and logs their output.

    :param redact: removes secrets from the output before it is logged.
    :param should_stop: returns True if a running program is to be terminated.
    """

    def __init__(
        self,
        state: StateDir,
        clock: Clock,
        redact: Callable[[str], str],
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._state = state
        self._clock = clock
        self._redact = redact
        self.should_stop = should_stop

    def run(
        self,
        title: str,
        program: Path,
        arguments: Sequence[str],
        timeout: float,
        env: Mapping[str, str],
    ) -> tuple[str | None, str]:
        """Run a program; return its failure, or None, and its last line of output.

        :param title: names the program in the log.
        :param timeout: in seconds.
        """
        started = self._clock.monotonic()
        last = ""

        def on_line(line: str) -> None:
            nonlocal last
            line = self._redact(line)
            last = line if line.strip() else last
            LOG.info("%s: %s", title, line)

        LOG.info("%s started", title)
        result = run_program(
            program,
            arguments,
            clock=self._clock,
            timeout=timeout,
            env=env,
            on_line=on_line,
            should_stop=self.should_stop,
            on_start=self._record,
        )
        self._state.delete(HOOK)
        if result.failure is None:
            if result.left_running:
                LOG.info("%s left processes running; their output is not logged", title)
            LOG.info("%s succeeded after %.1f s", title, self._clock.monotonic() - started)
        return result.failure, last

    def wait_for_orphan(self, timeout: float) -> bool:
        """Wait for a program that a killed agent has started; kill it if it takes too long.

        :param timeout: in seconds.
        :return: False if the program still runs, because this agent is stopping.
        """
        pid = self._orphan()
        if pid is None:
            return True
        LOG.warning("waiting for process %d, a program of an agent that was killed", pid)
        deadline = self._clock.monotonic() + timeout
        while pid is not None and self._clock.monotonic() < deadline:
            if self.should_stop():
                return False
            self._clock.sleep(_POLL_SECONDS)
            pid = self._orphan()
        if pid is not None:
            LOG.warning("killing process %d, which takes longer than %g s", pid, timeout)
            signal_session(pid, signal.SIGKILL)
        return True

    def _record(self, pid: int) -> None:
        self._state.try_write(HOOK, {"pid": pid, "began": start_time(pid)})

    def _orphan(self) -> int | None:
        """Return the process id of a running program that another agent has started, or None."""
        record = self._state.read(HOOK)
        if record is None or record["began"] is None:
            return None
        pid: int = record["pid"]
        return pid if start_time(pid) == record["began"] else None
