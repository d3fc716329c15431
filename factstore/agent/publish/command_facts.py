"""Facts and states given by commands such as ``factstore-agent put``.

They are stored until the instance boots, and published again each time the member joins again.  A
reboot discards them, because the services that they describe have stopped.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from factstore.agent.system.state_dir import COMMAND_FACTS, StateDir

_LOCK = "said.lock"


class CommandFacts:
    """Facts, results and the requested state of the member.

    :param boot_id: returns the id of the current boot.
    """

    def __init__(self, state: StateDir, boot_id: Callable[[], str]) -> None:
        self._state = state
        self._boot_id = boot_id

    @property
    def facts(self) -> Mapping[str, Any]:
        """Facts by path, below the member's folder in ``nodes``."""
        facts: Mapping[str, Any] = self._read()["facts"]
        return facts

    @property
    def results(self) -> Mapping[str, Any]:
        """Facts by path, below the member's folder in ``results``."""
        results: Mapping[str, Any] = self._read()["results"]
        return results

    @property
    def requested_state(self) -> str | None:
        """``ready`` or ``draining``; None if no command has requested a state."""
        state: str | None = self._read()["wanted"]
        return state

    def put(self, path: str, value: Any, *, result: bool = False) -> None:
        """Store a fact, or a result."""
        with self._editing() as content:
            content["results" if result else "facts"][path] = value

    def delete(self, path: str) -> None:
        """Remove a fact."""
        with self._editing() as content:
            content["facts"].pop(path, None)

    def request_state(self, state: str) -> None:
        """Store the state that the member is to have."""
        with self._editing() as content:
            content["wanted"] = state

    def _read(self) -> dict[str, Any]:
        content = self._state.read(COMMAND_FACTS) or {}
        if content.get("boot") != self._boot_id():
            content = {"boot": self._boot_id(), "wanted": None}
        return {"facts": {}, "results": {}, **content}

    @contextlib.contextmanager
    def _editing(self) -> Iterator[dict[str, Any]]:
        """Yield the content, and store it afterwards.  Concurrent commands take turns."""
        self._state.create()
        lock = self._state.lock(_LOCK)
        try:
            content = self._read()
            yield content
            self._state.write(COMMAND_FACTS, content)
        finally:
            os.close(lock)
