"""What commands such as ``factstore-agent put`` told, kept so that it outlives the agent, not the boot.

The agent tells it anew whenever it joins anew.  A service that was started before a reboot is not
started after it: what was said in another boot is void.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from factstore.agent.system.state_dir import SAID, StateDir

_LOCK = "said.lock"


class Said:
    """Facts and a state by command.

    :param boot: the id of this boot.
    """

    def __init__(self, state: StateDir, boot: Callable[[], str]) -> None:
        self._state = state
        self._boot = boot

    def facts(self) -> Mapping[str, Any]:
        """By path, below the member's own folder."""
        facts: Mapping[str, Any] = self._read()["facts"]
        return facts

    def results(self) -> Mapping[str, Any]:
        """By path, below the member's folder of results."""
        results: Mapping[str, Any] = self._read()["results"]
        return results

    @property
    def wanted(self) -> str | None:
        """The state that the member is to have, ``ready`` or ``draining``; None if nobody said."""
        wanted: str | None = self._read()["wanted"]
        return wanted

    def put(self, path: str, value: Any, *, result: bool = False) -> None:
        """Tell a fact, or a result, from now on."""
        with self._changing() as content:
            content["results" if result else "facts"][path] = value

    def delete(self, path: str) -> None:
        """Tell it no more."""
        with self._changing() as content:
            content["facts"].pop(path, None)

    def want(self, state: str) -> None:
        """Have the member be in a state."""
        with self._changing() as content:
            content["wanted"] = state

    def _read(self) -> dict[str, Any]:
        content = self._state.read(SAID) or {}
        if content.get("boot") != self._boot():
            content = {"boot": self._boot(), "wanted": None}
        return {"facts": {}, "results": {}, **content}

    @contextlib.contextmanager
    def _changing(self) -> Iterator[dict[str, Any]]:
        """The content, to be written when it was changed; commands take turns."""
        self._state.prepare()
        lock = os.open(self._state.directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            content = self._read()
            yield content
            self._state.write(SAID, content)
        finally:
            os.close(lock)
