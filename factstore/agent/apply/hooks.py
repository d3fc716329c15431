"""The executables of ``hooks.d``: run one after the other.

Which one runs is on disk, with the time at which its process began.  So an agent that was killed while
one ran waits for it when it comes back, and takes no other process for it.  What a hook has started
and left behind, such as a daemon, is not waited for.
"""

from __future__ import annotations

import hashlib
import logging
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from factstore.agent.system.drop_ins import drop_ins
from factstore.agent.system.host_facts import boot_id
from factstore.agent.system.run_program import run
from factstore.agent.system.state_dir import HOOK, StateDir
from factstore.client.clock import Clock

LOG = logging.getLogger(__name__)

_LOOK_SECONDS = 0.2


class HookFailed(Exception):
    """A hook did not succeed; those after it were not run.

    :ivar name: of the hook; the text says how it ended.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(reason)
        self.name = name


class Hooks:
    """The hooks of a directory.

    :param timeout: seconds that each may take.
    :param hide: takes secrets out of what they print.
    :param stopping: whether to end the one that runs.
    """

    def __init__(
        self,
        directory: Path,
        timeout: float,
        state: StateDir,
        clock: Clock,
        hide: Callable[[str], str],
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._directory = directory
        self._timeout = timeout
        self._state = state
        self._clock = clock
        self._hide = hide
        self._stopping = stopping

    def found(self) -> list[Path]:
        """Those that are there to be run.

        :raises OSError: the directory cannot be read.
        """
        return [file for file in drop_ins(self._directory) if os.access(file, os.X_OK)]

    def digest(self) -> str:
        """Another one when other hooks are to be run."""
        known = [
            (file.name, hashlib.sha256(file.read_bytes()).hexdigest()) for file in self.found()
        ]
        return hashlib.sha256(repr(known).encode()).hexdigest()

    def run(self, env: Mapping[str, str]) -> None:
        """Run all.

        :raises HookFailed: one did not succeed.
        :raises OSError: the directory cannot be read.
        """
        self._wait_for_left()
        for hook in self.found():
            began = self._clock.monotonic()
            LOG.info("hook %s begins", hook.name)
            ended = run(
                hook,
                clock=self._clock,
                timeout=self._timeout,
                env=env,
                on_line=lambda line, name=hook.name: LOG.info(  # type: ignore[misc]
                    "hook %s: %s", name, self._hide(line)
                ),
                stopping=self._stopping,
                on_start=self._remember,
            )
            self._state.forget(HOOK)
            if ended.reason is not None:
                raise HookFailed(hook.name, ended.reason)
            took = self._clock.monotonic() - began
            LOG.info("hook %s succeeded in %.1f s", hook.name, took)

    def _wait_for_left(self) -> None:
        """See that no hook of a run before this one runs; one that takes too long is ended."""
        left = self._left()
        if left is None:
            return
        LOG.warning("a hook that an earlier run began still runs as %d; it is waited for", left)
        end = self._clock.monotonic() + self._timeout
        while left is not None and self._clock.monotonic() < end:
            if self._stopping():
                raise HookFailed("of an earlier run", "still runs, and the agent stops")
            self._clock.sleep(_LOOK_SECONDS)
            left = self._left()
        if left is not None:
            LOG.warning("%d takes longer than %g s and is ended", left, self._timeout)
            with suppress(ProcessLookupError):
                os.killpg(left, signal.SIGKILL)

    def _remember(self, pid: int) -> None:
        self._state.keep(HOOK, {"pid": pid, "began": _began(pid)})

    def _left(self) -> int | None:
        """The process id of a hook that another run of the agent began, and that still runs."""
        known = self._state.read(HOOK)
        if known is None or known["began"] is None or _began(known["pid"]) != known["began"]:
            return None
        pid: int = known["pid"]
        return pid


def _began(pid: int) -> str | None:
    """When a process began, in words that no other process of that id shares; None if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] in "ZX" else f"{boot_id()} {fields[19]}"
    except OSError:
        return None
