"""Runs the commands of a text as its reader would, in several terminals."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.eventually import eventually

ADDRESS = "http://127.0.0.1:8796"


class Terminals:
    """Runs commands with what earlier ones assigned; those that wait go on in the background."""

    def __init__(self, url: str, directory: Path) -> None:
        self._url = url
        self._directory = directory
        self._assigned = ""
        self._waiting: list[subprocess.Popen[bytes]] = []

    def run(self, command: str) -> str:
        """What a command prints at once; nothing if it waits."""
        script = f"{self._assigned}{command.replace(ADDRESS, self._url)}"
        if assigned := re.match(r"([A-Z]+)=", command):
            self._assigned += self._print(f"{script}; declare -p {assigned[1]}")
            return ""
        if "wait=50" in command or "curl -N" in command:
            output = self.output(len(self._waiting))
            with output.open("wb") as file:
                self._waiting.append(subprocess.Popen(["bash", "-c", script], stdout=file))
            if "curl -N" in command:  # it follows from when it is there
                eventually(lambda: b"bookmark" in output.read_bytes())
            return ""
        return self._print(script)

    def _print(self, script: str) -> str:
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, (script, done.stderr)
        return done.stdout

    def output(self, number: int) -> Path:
        """Where the command that was the n-th to wait prints."""
        return self._directory / f"terminal-{number}"

    def close(self) -> None:
        """End the commands that still wait, by themselves if they can."""
        for process in self._waiting:
            try:
                process.wait(10)
            finally:
                process.kill()
