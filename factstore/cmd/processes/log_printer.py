"""Prints the lines that a child appends to its log."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

_PAUSE = 0.1


class LogPrinter:
    """A thread that passes each new line of a log to *say*, until the context ends."""

    def __init__(self, path: Path, say: Callable[[str], None]) -> None:
        self._path = path
        self._say = say
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log printer", daemon=True)

    def __enter__(self) -> None:
        self._offset = self._path.stat().st_size if self._path.exists() else 0
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        rest = b""
        while True:
            last = self._stopping.wait(_PAUSE)
            if self._path.exists():
                with self._path.open("rb") as log:
                    log.seek(self._offset)
                    added = log.read()
                self._offset += len(added)
                *lines, rest = (rest + added).split(b"\n")
                for line in lines:
                    self._say(line.decode(errors="replace"))
            if last:
                return
