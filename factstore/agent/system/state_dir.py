"""The agent's state on disk, and atomic writes.

A file is complete or unchanged, even if the agent or the machine dies during a write: the content is
written to a temporary file beside it, synced, given its owner and mode, and renamed.

An agent need not run as root, but root may run its commands.  So what root creates in the directory
belongs to the directory's owner, like the rest of the state.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from factstore.client.clock import Clock
from factstore.client.os_errors import errors_about

LOG = logging.getLogger(__name__)

# Names on disk.  They do not change, so that an upgraded agent continues as the same member.
MEMBER, CONTEXT, APPLIED, PUBLISHED = "member", "kept", "applied", "published"
HOOK, COMMAND_FACTS, GRANT, MISMATCHES = "hook", "said", "grant", "mismatches"
LACKING = "lacking"
IDENTITY, FILE_COMMANDS = "identity", "file-commands"
AGENT_LOCK = "agent.lock"

_LOCK_ATTEMPTS = 10


def write_atomically(
    path: Path, data: bytes, *, mode: int = 0o600, owner: int = -1, group: int = -1
) -> None:
    """Replace the content of a file; no reader sees a part of it.

    :param owner: a user id; -1 for the agent's own.
    :param group: a group id; -1 for the agent's own.
    :raises OSError: the file, which the error names, cannot be written, and is unchanged.
    """
    with errors_about(path):
        _write(path, data, mode, owner, group)


def _write(path: Path, data: bytes, mode: int, owner: int, group: int) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", dir=path.parent)
    try:
        with open(handle, "wb") as file:
            file.write(data)
            file.flush()
            if (owner, group) != (-1, -1):
                os.fchown(handle, owner, group)
            os.fchmod(handle, mode)  # after chown, which clears the set-uid bit
            os.fsync(handle)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
    sync_directory(path.parent)


def write_state(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Replace the content of a file of the agent's state.

    :raises OSError: as of :func:`write_atomically`.
    """
    owner, group = _owner_in(path.parent)
    write_atomically(path, data, mode=mode, owner=owner, group=group)


def make_directory(path: Path, *, mode: int = 0o700) -> None:
    """Create a directory in the agent's state, if it is missing.

    :raises OSError: it cannot be created.
    """
    try:
        path.mkdir(mode=mode)
    except FileExistsError:
        if not path.is_dir():
            raise
    else:
        os.chown(path, *_owner_in(path.parent))


def _owner_in(directory: Path) -> tuple[int, int]:
    """Return the user and the group of a new file, by id; -1 if those of the process are right."""
    if os.geteuid() != 0:
        return -1, -1
    owner = directory.stat()
    return owner.st_uid, owner.st_gid


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable.

    :raises OSError: the directory cannot be synced.
    """
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class StateDir:
    """The agent's state directory.  Documents of another stack or member are ignored.

    :param owner: the stack and the member to which the documents belong.
    """

    def __init__(self, directory: Path, owner: tuple[str, str]) -> None:
        self.directory = directory
        self._owner = list(owner)
        self._ignored: dict[Path, str] = {}

    def create(self) -> None:
        """Create the directory if it is missing, readable by the agent's user only.

        :raises OSError: the directory cannot be created.
        """
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def remove_partial_writes(self) -> None:
        """Remove the temporary files of interrupted writes.  No other agent may be running."""
        names = (MEMBER, CONTEXT, APPLIED, PUBLISHED, HOOK, GRANT, IDENTITY, FILE_COMMANDS)
        for name in names:
            for leftover in self.directory.glob(f".{name}.json.*"):
                leftover.unlink(missing_ok=True)

    def read(self, name: str) -> dict[str, Any] | None:
        """Return a document, or None if it is missing, unreadable or another member's."""
        path = self._path(name)
        try:
            document = json.loads(path.read_bytes())
            owner, content = document["of"], document["content"]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, LookupError, TypeError) as error:
            if self._ignored.get(path) != str(error):  # it is read again and again
                self._ignored[path] = str(error)
                LOG.warning("ignoring %s, which cannot be read: %s", path, error)
            return None
        return content if owner == self._owner and isinstance(content, dict) else None

    def write(self, name: str, content: dict[str, Any]) -> None:
        """Store a document.

        :raises OSError: the document cannot be written.
        """
        document = {"of": self._owner, "content": content}
        write_state(self._path(name), json.dumps(document, sort_keys=True).encode())

    def try_write(self, name: str, content: dict[str, Any]) -> None:
        """Store a document whose loss only repeats work after a restart; log a failure."""
        try:
            self.write(name, content)
        except OSError as error:
            LOG.warning("%s.json cannot be written: %s", name, error.strerror)

    def delete(self, name: str) -> None:
        """Delete a document durably, if it exists."""
        path = self._path(name)
        with errors_about(path):
            try:
                path.unlink()
            except FileNotFoundError:
                return
            sync_directory(self.directory)

    def clear(self) -> None:
        """Delete all documents and marks, except the lock of this agent."""
        for file in (*self.directory.glob("*.json"), *self.directory.glob("*.lock")):
            if file.name != AGENT_LOCK:
                file.unlink(missing_ok=True)
        sync_directory(self.directory)

    def _path(self, name: str) -> Path:
        return self.directory / f"{name}.json"

    def lock(self, name: str) -> int:
        """Wait for a lock, which is released when all copies of the file descriptor are closed.

        :return: the file descriptor.
        :raises OSError: the file cannot be created or opened.
        """
        handle = self._open(name)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except BaseException:
            os.close(handle)
            raise
        return handle

    def _open(self, name: str) -> int:
        handle = os.open(self.directory / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.fchown(handle, *_owner_in(self.directory))
        except BaseException:
            os.close(handle)
            raise
        return handle

    def try_lock(self, name: str) -> int | None:
        """Take a lock as :meth:`lock` does, but do not wait.

        :return: the file descriptor, or None if another process has the lock.
        """
        handle = self._open(name)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        except BaseException:
            os.close(handle)
            raise
        return handle

    @contextlib.contextmanager
    def exclusive(self, clock: Clock) -> Iterator[int | None]:
        """Lock the directory for this agent.

        Yields None, or the process id of the agent that has locked it; 0 if that is unknown.
        """
        for _ in range(_LOCK_ATTEMPTS):  # a command may have the lock for a moment: see agent_pid
            handle = self.try_lock(AGENT_LOCK)
            if handle is not None:
                break
            clock.sleep(0.1)
        else:
            yield self.agent_pid() or 0
            return
        try:
            with errors_about(self.directory / AGENT_LOCK):
                os.ftruncate(handle, 0)
                os.pwrite(handle, str(os.getpid()).encode(), 0)
            yield None
        finally:
            os.close(handle)

    def agent_pid(self) -> int | None:
        """Return the process id of the agent that uses the directory, or None if none runs."""
        handle = self.try_lock(AGENT_LOCK)
        if handle is not None:
            os.close(handle)
            return None
        with contextlib.suppress(OSError, ValueError):
            return int((self.directory / AGENT_LOCK).read_text())
        return None
