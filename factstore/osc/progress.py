"""A progress bar on a terminal: how much is satisfied, and what is missing."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import TextIO

from factstore.osc.display import printable

BAR = 20  # characters
NAMED = 10  # missing items


class Progress:
    """A line on a terminal that each report replaces; nothing if the output is not a terminal."""

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._shows = output.isatty()
        self._shown = False

    def report(self, satisfied: int, needed: int, missing: Sequence[str]) -> None:
        """Show the progress.

        :param missing: the items that are not satisfied yet.
        """
        if not self._shows:
            return
        width = shutil.get_terminal_size().columns
        line = progress_line(satisfied, needed, missing)
        if len(line) >= width:
            line = f"{line[: width - 2]}…"
        self._write(f"\r\x1b[K{line}")
        self._shown = True

    def clear(self) -> None:
        """Remove the line."""
        if self._shown:
            self._write("\r\x1b[K")
            self._shown = False

    def _write(self, text: str) -> None:
        self._output.write(text)
        self._output.flush()


def progress_line(satisfied: int, needed: int, missing: Sequence[str]) -> str:
    """Return the line for a progress."""
    done = BAR if needed <= 0 else min(BAR, BAR * satisfied // needed)
    line = f"[{'#' * done}{'.' * (BAR - done)}] {satisfied}/{needed}"
    if missing:
        more = ", …" if len(missing) > NAMED else ""
        line += f"  missing: {', '.join(map(printable, missing[:NAMED]))}{more}"
    return line
