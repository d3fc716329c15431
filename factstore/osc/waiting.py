"""The part that commands share which wait and show progress."""

from __future__ import annotations

import argparse
import logging
import sys

from factstore.client import WaitTimeout
from factstore.osc.display import Command
from factstore.osc.progress import Progress

TIMED_OUT = 2


class Waiting(Command):
    """A command that waits, and whose exit status reports the outcome."""

    status = 0

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Run the command, and return its status."""
        self.progress = Progress(sys.stderr)
        log, removal = logging.getLogger("factstore.client"), _Removal(self.progress)
        log.addHandler(removal)
        try:
            status: int = super().run(parsed_args)
        except WaitTimeout as error:
            self.progress.clear()
            self.log.error("%s", error)
            return TIMED_OUT
        finally:
            log.removeHandler(removal)
            self.progress.clear()
        return status or self.status


class _Removal(logging.Handler):
    """Removes the progress bar before another handler prints a warning of the client."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(logging.WARNING)
        self._progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        """Remove the bar, which returns with the next progress."""
        self._progress.clear()
