"""Writing files: each passes its check first, all are written, and then each command runs once.

A file that fails its check replaces nothing, and no other file is written either.  On disk is for which
content of each file its command has succeeded: so a command runs again after it failed or its agent was
killed, and a command that succeeded does not.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factstore.agent.apply.errors import ApplyError
from factstore.agent.apply.files import FileSpec, RenderedFile, RenderedFolder
from factstore.agent.apply.program_runner import ProgramRunner
from factstore.agent.system.state_dir import FILE_COMMANDS, StateDir
from factstore.client.clock import Clock

LOG = logging.getLogger(__name__)

_SHELL = Path("/bin/sh")
_OUTPUT = 300  # characters of a program's last line in an error

SpecFile = tuple[FileSpec, "RenderedFile | RenderedFolder"]


@dataclass(frozen=True)
class FilePlan:
    """The work to do for the files of a context.

    :param stale: the files to write.
    :param commands: the commands to run, in order, with their files.
    :param pause: the seconds after which files that are held back have settled; 0 if there are none.
    """

    stale: Sequence[SpecFile]
    commands: Mapping[str, Sequence[SpecFile]]
    pause: float


class FileWriter:
    """Writes rendered files and runs their commands."""

    def __init__(self, state: StateDir, clock: Clock, runner: ProgramRunner) -> None:
        self._state = state
        self._clock = clock
        self._runner = runner
        # The times at which a file first differed from the one on disk, and of its last change.
        self._unsettled: dict[str, tuple[float, float, str]] = {}

    def plan(self, files: Sequence[SpecFile], state: str, *, settle: bool) -> FilePlan:
        """Return what is to be done.

        :param state: a text that differs when commands without ``when_changed`` must run again.
        :param settle: False to hold no file back.
        :raises OSError: a file cannot be read.
        """
        stale: list[SpecFile] = []
        commands: dict[str, list[SpecFile]] = {}
        pauses: list[float] = []
        succeeded = self._succeeded()
        for spec, file in files:
            current = file.is_current()
            pause = self._pause(spec, file, current=current) if settle else 0.0
            if pause > 0:
                pauses.append(pause)
                continue
            if not current:
                stale.append((spec, file))
            command = spec.options.command
            if command is not None and (
                not current or succeeded.get(str(file.path)) != _mark(spec, file, state)
            ):
                commands.setdefault(command, []).append((spec, file))
        return FilePlan(stale, commands, min(pauses, default=0.0))

    def _pause(
        self, spec: FileSpec, file: RenderedFile | RenderedFolder, *, current: bool
    ) -> float:
        """Return the seconds for which a file is held back."""
        path, options = str(file.path), spec.options
        if current or not options.settle or not file.path.exists():
            self._unsettled.pop(path, None)
            return 0.0
        now = self._clock.monotonic()
        first, last, digest = self._unsettled.get(path, (now, now, file.digest))
        if digest != file.digest:
            last = now
        self._unsettled[path] = first, last, file.digest
        return max(min(last + options.settle, first + options.longest_settle) - now, 0.0)

    def check(self, plan: FilePlan, env: Mapping[str, str]) -> None:
        """Check the files that are to be written.

        :raises ApplyError: a file failed its check.
        :raises OSError: a file cannot be written for its check.
        """
        for spec, file in plan.stale:
            check = spec.options.check
            if check is None or not isinstance(file, RenderedFile):
                continue
            with file.staged() as path:
                command = check.replace("%s", shlex.quote(str(path)))
                failure = self._run(f"check of {spec.name}", command, [(spec, file)], env)
            if failure is not None:
                raise ApplyError(spec.name, f"the check {failure}; the file was not replaced")

    def write(self, plan: FilePlan) -> set[str]:
        """Write the files; return the paths of those that were written.

        :raises OSError: a file cannot be written.
        """
        succeeded = self._succeeded()
        stale = {str(file.path) for _, file in plan.stale}
        if stale & succeeded.keys():
            left = {path: mark for path, mark in succeeded.items() if path not in stale}
            self._state.write(FILE_COMMANDS, left)
        written = {str(file.path) for _, file in plan.stale if file.write_if_changed()}
        for path in stale:
            self._unsettled.pop(path, None)
        return written

    def run_commands(
        self,
        plan: FilePlan,
        state: str,
        env: Mapping[str, str],
        may_start: Callable[[], bool] = lambda: True,
    ) -> None:
        """Run the commands, also if one of them fails.

        :param state: as for :meth:`plan`.
        :param may_start: called before each command; returns False if no further one may start.
        :raises ApplyError: a command failed or may not start.
        """
        failed: ApplyError | None = None
        for command, files in plan.commands.items():
            name = files[0][0].name
            if self._runner.should_stop():
                raise failed or ApplyError(
                    name, "the command was not started: the agent is stopping"
                )
            if not may_start():
                raise ApplyError(name, "the command was not started, because the turn was lost")
            failure = self._run(f"command of {name}", command, files, env)
            if failure is None:
                marks = {str(file.path): _mark(spec, file, state) for spec, file in files}
                self._state.try_write(FILE_COMMANDS, {**self._succeeded(), **marks})
                continue
            error = ApplyError(name, f"the command {failure}")
            if failed is not None:
                LOG.warning("%s", error)
            failed = failed or error
        if failed is not None:
            raise failed

    def _run(
        self, title: str, command: str, files: Sequence[SpecFile], env: Mapping[str, str]
    ) -> str | None:
        """Run a command; return the predicate of a sentence about its failure, or None."""
        changed = "\n".join(str(file.path) for _, file in files)
        timeout = max(spec.options.timeout for spec, _ in files)
        failure, output = self._runner.run(
            title, _SHELL, ("-c", command), timeout, {**env, "FACTSTORE_CHANGED": changed}
        )
        if failure is None or not output:
            return failure
        return f"{failure}: {output[:_OUTPUT]}"

    def _succeeded(self) -> dict[str, Any]:
        """Return by path for which content, and in which state, the file's command has succeeded."""
        return self._state.read(FILE_COMMANDS) or {}


def _mark(spec: FileSpec, file: RenderedFile | RenderedFolder, state: str) -> str:
    options = spec.options
    known = [options.command, file.digest, "" if options.when_changed else state]
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()
