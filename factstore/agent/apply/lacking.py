"""The facts that templates need and that do not exist, for the member's results.

The service finds out from them for whom the member waits.
"""

from __future__ import annotations

import re

from factstore.agent.system.state_dir import LACKING, StateDir

PATHS = 100
_SEGMENT = r"[A-Za-z0-9_][A-Za-z0-9_.:@-]{0,127}"
_PATH = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT}){{0,15}}")
_LENGTH = 512


class LackingFacts:
    """The facts that templates lacked when they were rendered last.

    :param state: keeps that some were reported, so that a restarted agent withdraws the report.
    """

    def __init__(self, state: StateDir) -> None:
        self._state = state
        self._paths: set[str] = set()

    def clear(self) -> None:
        """Begin to render."""
        self._paths = set()

    def note(self, error: BaseException) -> None:
        """Note the fact because of which a file cannot be rendered, if that is the reason."""
        from jinja2.exceptions import UndefinedError  # an optional dependency

        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, UndefinedError):
            cause = cause.__cause__
        path = "/".join(getattr(cause, "path", ()))
        if len(path) <= _LENGTH and _PATH.fullmatch(path):
            self._paths.add(path)

    def paths(self, *, failed: bool) -> list[str] | None:
        """Return the paths; None if none were reported since the state directory was created.

        :param failed: True if the last attempt to apply has failed.
        """
        found = sorted(self._paths)[:PATHS] if failed else []
        if found:
            self._state.try_write(LACKING, {"reported": True})
        elif self._state.read(LACKING) is None:
            return None
        return found
