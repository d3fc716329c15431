"""Agents as processes, each with a configuration, hooks and a state directory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.agents import ARGV
from tests.commands import forked
from tests.forked_child import ForkedChild


class Instance:
    """One instance with an agent.  Its hook writes a line for each run.

    :param argv: its program.
    :param options: of ``[agent]``; *react* are options of that section; *more* are further sections,
        and ``DIR`` in them is the directory.
    """

    def __init__(
        self,
        directory: Path,
        url: str,
        stack: str,
        name: str,
        more: str = "",
        react: str = "",
        argv: Sequence[str] = ARGV,
        **options: object,
    ) -> None:
        self.directory = directory
        self.name = name
        self._argv = argv
        self.config = directory / "agent.conf"
        directory.mkdir(parents=True, exist_ok=True)
        agent = {
            "stack": stack,
            "member": name,
            "ttl": 30,
            "state_dir": directory / "state",
            **options,
        }
        self.write(
            "agent.conf",
            "\n".join(
                [
                    "[agent]",
                    *(f"{key} = {value}" for key, value in agent.items()),
                    f"[service]\nurl = {url}",
                    f"[facts]\ndirectory = {directory}/facts.d\nbuiltin = boot_id\ninterval = 3600",
                    f"[react]\nhooks = {directory}/hooks.d\nsettle = 0.2\nretry_first = 0.2\n{react}",
                    textwrap.dedent(more).replace("DIR", str(directory)),
                    "[template nodes]\nsource = nodes.j2",
                    f"destination = {directory}/nodes",
                ]
            ),
        )
        self.write(
            "templates/nodes.j2", "{% for name in facts.nodes %}\n{{ name }}\n{% endfor %}\n"
        )
        self.hook("10-apply", "echo $FACTSTORE_CURSOR >> DIR/runs")
        self.child = ForkedChild(f"agent {name}")

    def write(self, name: str, text: str) -> Path:
        """Write a file of the instance atomically."""
        file = self.directory / name
        file.parent.mkdir(exist_ok=True)
        new = file.with_name(f".{file.name}")
        new.write_text(text)
        new.replace(file)
        return file

    def hook(self, name: str, script: str) -> None:
        """Write an executable in ``hooks.d``."""
        text = f"#!/bin/sh\n{script}\n".replace("DIR", str(self.directory))
        hidden = self.write(f"hooks.d/.{name}", text)
        hidden.chmod(0o755)
        hidden.replace(hidden.with_name(name))

    def fact(self, **facts: object) -> None:
        """Write the facts in ``facts.d``."""
        self.write("facts.d/facts.json", json.dumps(facts))

    def start(self, env: Mapping[str, str] | None = None) -> None:
        """Start the agent, by default with the environment of the tests."""
        argv = [*self._argv, "--config", str(self.config), "run"]
        self.child.start(argv, log_path=self.directory / "log", env=env or environ())

    def call(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the agent and return its result."""
        argv = ["--config", str(self.config), *arguments]
        if self._argv is ARGV:
            return forked("factstore.agent.cli", argv, {**environ(), **env})
        return subprocess.run(
            [*self._argv, *argv],
            env={**environ(), **env},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def kill(self) -> None:
        """Kill the agent; its hooks continue."""
        self.child.kill()

    def stop(self) -> int | None:
        """Stop the agent; return its exit status."""
        return self.child.terminate(60)

    def reload(self) -> None:
        """Send SIGHUP."""
        self.child.send_signal(signal.SIGHUP)

    @property
    def runs(self) -> list[str]:
        """The cursor of each run of its hook."""
        return self._lines("runs")

    @property
    def nodes(self) -> list[str]:
        """The lines that its template rendered."""
        return self._lines("nodes")

    @property
    def log(self) -> str:
        """The agent's log."""
        file = self.directory / "log"
        return file.read_text(errors="replace") if file.exists() else ""

    def kept(self, name: str) -> Any:
        """Return a document of the state directory, or None."""
        file = self.directory / "state" / f"{name}.json"
        return json.loads(file.read_text())["content"] if file.exists() else None

    def _lines(self, name: str) -> list[str]:
        file = self.directory / name
        return file.read_text().splitlines() if file.exists() else []


def environ() -> dict[str, str]:
    """Return the environment without variables that configure an agent."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OS_", "FACTSTORE_"))
    }
