"""Terminals that run the commands of a text as its reader would."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.eventually import eventually

ADDRESS = "http://127.0.0.1:8796"


class Terminals:
    """Runs commands with the variables of earlier ones; commands that wait run in the background."""

    def __init__(self, url: str, directory: Path) -> None:
        self._url = url
        self._directory = directory
        self._assigned = ""
        self._waiting: list[subprocess.Popen[bytes]] = []

    def run(self, command: str) -> str:
        """Run a command and return its output; empty if the command waits."""
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
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, (script, done.stderr)
        return done.stdout

    def output(self, number: int) -> Path:
        """Return the file with the output of the n-th command that waits."""
        return self._directory / f"terminal-{number}"

    def close(self) -> None:
        """Wait for the commands that still run, and kill those that do not end."""
        for process in self._waiting:
            try:
                process.wait(60)
            finally:
                process.kill()
