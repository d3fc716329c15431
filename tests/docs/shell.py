"""One shell for the blocks of a page."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.docs.pages import DOC
from tests.eventually import eventually

MINUTES = 5 * 60.0


class Shell:
    """One shell that runs one block after another; its processes end with it.

    :param directory: in which the shell starts.
    :param command: starts a shell that reads its commands from standard input.
    :param output: the file for what it prints; by default ``output`` in the directory.
    """

    def __init__(
        self,
        directory: Path,
        environ: dict[str, str],
        command: Sequence[str] = ("bash", "-e"),
        output: Path | None = None,
    ) -> None:
        self._output = output or directory / "output"
        self._number = 0
        self._log = self._output.open("wb")
        self._process = subprocess.Popen(
            list(command),
            cwd=directory,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, block: str, within: float = MINUTES) -> str:
        """Run a block, and return what it printed."""
        begin, self._number = self._output.stat().st_size, self._number + 1
        end = f"--- block {self._number} ---"
        assert self._process.stdin is not None
        self._process.stdin.write(f"{block}\necho '{end}'\n".encode())
        self._process.stdin.flush()

        def ended() -> bool:
            assert self._process.poll() is None, self.printed(begin)[-5000:]
            return end in self.printed(begin)

        eventually(ended, within, 0.1)
        return self.printed(begin).partition(end)[0]

    def printed(self, begin: int = 0) -> str:
        """Return what was printed since a position."""
        return self._output.read_bytes()[begin:].decode(errors="replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(60)
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._log.close()


def titles_of_blocks(page: str, language: str) -> list[str]:
    """Return the title above each block of a page in one language."""
    found, title, former = [], "", ""
    for line in (DOC / page).read_text().splitlines():
        if former and line == "=" * len(former):
            title = former
        elif line.strip() == f".. code-block:: {language}":
            found.append(title)
        former = line
    return found
