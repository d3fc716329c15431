"""The run of a configuration on disk, from its begin until its result is reported.

A run is a directory, whose files appear in this order: ``run.json`` before anything happens,
``pid.json`` once the supervisor waits for its input, ``began`` before the hook starts, ``ended`` after
it, and ``result.json``, which is to be reported.  Each is durable before the next step.
"""

from __future__ import annotations

import contextlib
import functools
import json
import pkgutil
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from factstore.agent.system.host_facts import boot_id
from factstore.agent.system.process_identity import start_time
from factstore.agent.system.process_session import signal_marked, signal_session
from factstore.agent.system.run_program import program_environment
from factstore.agent.system.state_dir import make_directory, sync_directory, write_state
from factstore.client import ConfigurationRecord

RUN = "run"
RECORD = "run.json"
CANCEL = "cancel"
RUN_VARIABLE = "FACTSTORE_RUN"
"""The environment variable of the hook and its descendants: the id of the configuration."""
TAIL_BYTES = 64 * 1024


@dataclass(frozen=True)
class RunRecord:
    """The configuration of a run, without its text and its inputs.

    :param id: of the configuration's definition.
    :param outputs: the names of its outputs.
    :param secrets: the entity tags of the facts that are inputs, by path.
    """

    name: str
    id: str
    on_interrupt: str
    outputs: list[str]
    secrets: dict[str, str]

    @classmethod
    def of(cls, found: ConfigurationRecord, secrets: Mapping[str, str]) -> RunRecord:
        """Return the record of a configuration."""
        return cls(found.name, found.id, found.on_interrupt, list(found.outputs), dict(secrets))


class Run:
    """The run on disk.

    :param directory: of the agent's state.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory / RUN

    def load(self) -> RunRecord | None:
        """Return the record of the present run, or None."""
        found = self._read(RECORD)
        if found is None:
            return None
        try:
            return RunRecord(**found)
        except TypeError:  # an agent of another version stored it
            return None

    def begin(self, record: RunRecord) -> None:
        """Store a new run.

        A run of the same definition that is stored already, and may have been reported, is replaced
        in one step: without it, its configuration would count as one whose state was lost.

        :raises OSError: it cannot be stored.
        """
        stored = self.load()
        if stored is None or stored.id != record.id:
            self.delete()
        make_directory(self._directory)
        for file in self._directory.iterdir():
            if file.name != RECORD:
                file.unlink()
        self._write(RECORD, asdict(record))
        sync_directory(self._directory.parent)

    def start(self, record: RunRecord, hook: Path, timeout: float, data: bytes) -> None:
        """Start the hook.  If the agent is killed before the hook has its input, it is never run.

        :param record: of this run.
        :param data: the input of the hook.
        :raises OSError: the supervisor cannot be started.
        """
        process = subprocess.Popen(  # noqa: S603 - the operator installed the hook to be run
            [sys.executable, "-I", "-S", "-c", _supervisor(), str(hook), str(timeout)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=program_environment({RUN_VARIABLE: record.id}),
            cwd=self._directory,
            start_new_session=True,
        )
        _CHILDREN.append(process)
        assert process.stdin is not None  # noqa: S101 - it is a pipe
        # Closed in any case: a supervisor without its input ends and runs nothing.
        with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
            self._write("pid.json", {"pid": process.pid, "began": start_time(process.pid)})
            pipe.write(b"%d\n" % len(data) + data)

    @property
    def began(self) -> bool:
        """True if the hook was started."""
        return (self._directory / "began").exists()

    @property
    def is_alive(self) -> bool:
        """True if the supervisor runs, perhaps of an agent before this one."""
        for child in list(_CHILDREN):
            if child.poll() is not None:
                _CHILDREN.remove(child)
        found = self._read("pid.json")
        began = found["began"] if found is not None else None
        return found is not None and began is not None and start_time(found["pid"]) == began

    def kill(self) -> None:
        """Kill what is left of a run whose supervisor has ended, so that it does not run twice."""
        found = self._read("pid.json")
        if found is None or not str(found["began"]).startswith(f"{boot_id()} "):
            return
        # While a session exists, its id is no other process's; if there is one, the session has ended.
        if not Path(f"/proc/{found['pid']}").exists():
            signal_session(found["pid"], signal.SIGKILL)
            record = self.load()
            if record is not None and record.id:
                signal_marked(RUN_VARIABLE, record.id, signal.SIGKILL)

    @property
    def end(self) -> dict[str, Any] | None:
        """The status of the hook and its failure; None before the end."""
        return self._read("ended")

    @property
    def result(self) -> dict[str, Any] | None:
        """The result that is to be reported, or None."""
        return self._read("result.json")

    def cancel(self) -> None:
        """Let the supervisor end the hook.

        :raises OSError: the request cannot be stored.
        """
        (self._directory / CANCEL).touch()

    def store_result(self, result: dict[str, Any]) -> None:
        """Store the result.

        :raises OSError: it cannot be stored.
        """
        self._write("result.json", result)

    def output(self, name: str) -> bytes:
        """Return the output ``stdout`` or ``stderr``."""
        return self._output(name, 0)

    def last_lines(self, name: str) -> bytes:
        """Return the last whole lines of an output, and what follows them."""
        size = self._size(name)
        found = self._output(name, max(size - TAIL_BYTES, 0))
        if size <= TAIL_BYTES:
            return found
        # The first line is cut.  A secret that was cut could not be recognized.
        return found.partition(b"\n")[2]

    def _size(self, name: str) -> int:
        try:
            return (self._directory / name).stat().st_size
        except FileNotFoundError:
            return 0

    def _output(self, name: str, start: int) -> bytes:
        try:
            with (self._directory / name).open("rb") as file:
                file.seek(start)
                return file.read()
        except FileNotFoundError:
            return b""

    def delete(self) -> None:
        """Delete the run.

        :raises OSError: it cannot be deleted.
        """
        if self._directory.exists():
            # The record is first, so that no part of a run is taken for a run.
            (self._directory / RECORD).unlink(missing_ok=True)
            sync_directory(self._directory)
            shutil.rmtree(self._directory)

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            found = json.loads((self._directory / name).read_bytes())
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def _write(self, name: str, content: dict[str, Any]) -> None:
        write_state(self._directory / name, json.dumps(content).encode())


_CHILDREN: list[subprocess.Popen[bytes]] = []  # to be waited for, so that they are no zombies


@functools.cache
def _supervisor() -> str:
    """Return the source of the supervisor, which is not a file if the agent is a zip archive."""
    source = pkgutil.get_data(__package__ or "", "supervisor.py")
    assert source is not None  # noqa: S101 - all loaders of Python's own can read it
    return source.decode()
