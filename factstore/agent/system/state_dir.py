"""What the agent keeps on disk, and how anything is written there.

A file is there whole or not at all, whatever dies when: it is written beside its place, brought to the
disk, given owner and mode, and only then moved there.
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

LOG = logging.getLogger(__name__)

MEMBER, KEPT, APPLIED, PUBLISHED = "member", "kept", "applied", "published"
HOOK, SAID, GRANT = "hook", "said", "grant"
AGENT_LOCK = "agent.lock"

_ATTEMPTS = 10


def write_whole(
    path: Path, data: bytes, *, mode: int = 0o600, owner: int = -1, group: int = -1
) -> None:
    """Write a file so that nobody ever sees a part of it.

    :param owner: a uid; -1 for the agent's own.  *group* likewise.
    :raises OSError: it cannot be written; then it is as it was.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(handle, "wb") as file:
            file.write(data)
            file.flush()
            if (owner, group) != (-1, -1):
                os.fchown(handle, owner, group)
            os.fchmod(handle, mode)  # after chown, which takes set-uid away
            os.fsync(handle)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
    _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class StateDir:
    """The agent's directory.  What another stack's or another member's agent left there is not read.

    :param owner: the stack and the member that it is for.
    """

    def __init__(self, directory: Path, owner: tuple[str, str]) -> None:
        self.directory = directory
        self._owner = list(owner)

    def prepare(self) -> None:
        """Create the directory if it is missing; nobody else may look into it.

        :raises OSError: it cannot be.
        """
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def clean(self) -> None:
        """Remove what is left of writes that were cut off; for who is alone here."""
        for name in (MEMBER, KEPT, APPLIED, PUBLISHED, HOOK, GRANT):
            for left in self.directory.glob(f".{name}.json.*"):
                left.unlink(missing_ok=True)

    def read(self, name: str) -> dict[str, Any] | None:
        """A document, if there is one and it is whole."""
        path = self._path(name)
        try:
            document = json.loads(path.read_bytes())
            owner, content = document["of"], document["content"]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, LookupError, TypeError) as error:
            LOG.warning("%s is passed over, for it cannot be read: %s", path, error)
            return None
        return content if owner == self._owner and isinstance(content, dict) else None

    def write(self, name: str, content: dict[str, Any]) -> None:
        """Keep a document."""
        document = {"of": self._owner, "content": content}
        write_whole(self._path(name), json.dumps(document, sort_keys=True).encode())

    def keep(self, name: str, content: dict[str, Any]) -> None:
        """Keep a document if that can be; without it there is more to be done anew after a restart."""
        try:
            self.write(name, content)
        except OSError as error:
            LOG.warning("%s cannot be kept: %s", name, error.strerror)

    def forget(self, name: str) -> None:
        """Have no such document, also after a crash."""
        try:
            self._path(name).unlink()
        except FileNotFoundError:
            return
        _sync_directory(self.directory)

    def _path(self, name: str) -> Path:
        return self.directory / f"{name}.json"

    def lock(self, name: str) -> int | None:
        """Take a lock, which lasts until the descriptor, and every copy of it, is closed.

        :return: the descriptor; None if somebody has it.
        """
        handle = os.open(self.directory / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
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
    def alone(self, clock: Clock) -> Iterator[int | None]:
        """Be the one agent of this directory.

        Gives None, or the process id of the agent that runs here, 0 if it has not told its own.
        """
        for _ in range(_ATTEMPTS):  # somebody may only be looking who runs
            handle = self.lock(AGENT_LOCK)
            if handle is not None:
                break
            clock.sleep(0.1)
        else:
            yield self.running() or 0
            return
        try:
            os.ftruncate(handle, 0)
            os.pwrite(handle, str(os.getpid()).encode(), 0)
            yield None
        finally:
            os.close(handle)

    def running(self) -> int | None:
        """The process id of the agent that runs here, if one does."""
        handle = self.lock(AGENT_LOCK)
        if handle is not None:
            os.close(handle)
            return None
        with contextlib.suppress(OSError, ValueError):
            return int((self.directory / AGENT_LOCK).read_text())
        return None
