"""Factories of the objects that the agent's tests use."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from factstore.agent.agent import Agent
from factstore.agent.config.settings import Settings, load_settings
from factstore.agent.session.connection import Connection
from factstore.agent.system.state_dir import StateDir
from factstore.client import Context
from factstore.client.clock import SystemClock
from tests.unit.client.stub import FakeClock, Service

OWNER = ("slurm", "c1")
REAL = SystemClock()
"""The clock for tests that run programs."""
DOCUMENT: dict[str, Any] = {
    "stack": "slurm",
    "facts": {"nodes": {"c1": {"ip": "10.0.0.1"}, "c2": {"ip": "10.0.0.2\nevil"}}, "motto": "a b"},
    "members": {"c1": {"group": "node"}},
    "self": {"name": "c1"},
    "peers": {},
}
"""A context for templates."""


def write(file: Path, text: str, mode: int = 0o644) -> Path:
    """Write a file and create its directories; the text may be indented."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(textwrap.dedent(text).lstrip("\n"))
    file.chmod(mode)
    return file


def program(file: Path, script: str) -> Path:
    """Write an executable shell script."""
    return write(file, "#!/bin/sh\n" + textwrap.dedent(script), 0o755)


def settings(directory: Path, text: str = "", **options: object) -> Settings:
    """Return the settings of an agent whose files are all below a directory.

    :param text: further sections; ``DIR`` stands for the directory.
    :param options: options of ``[agent]``; None to leave an option out.
    """
    base = {"stack": "slurm", "member": "c1", "state_dir": directory / "state", **options}
    own = (f"{name} = {value}" for name, value in base.items() if value is not None)
    lines = ["[agent]", *own]
    for title, given in (
        ("facts", "directory = DIR/facts.d\nbuiltin =\n"),
        ("react", "hooks = DIR/hooks.d\n"),
    ):
        if f"[{title}]" in text:
            text = text.replace(f"[{title}]\n", f"[{title}]\n{given}")
        else:
            text += f"\n[{title}]\n{given}"
    file = directory / "agent.conf"
    directory.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n" + text.replace("DIR", str(directory)))
    return load_settings(file)


def state(directory: Path, owner: tuple[str, str] = OWNER) -> StateDir:
    """Return a state directory that exists."""
    made = StateDir(directory / "state", owner)
    made.create()
    return made


def agent(options: Settings, service: Service, clock: FakeClock | SystemClock = REAL) -> Agent:
    """Return an agent that uses a stub of the service."""
    client_clock = clock if isinstance(clock, FakeClock) else FakeClock()
    stack = service.stack(client_clock, retry_for=0.0)
    made = Connection(stack)
    return Agent(options, made, clock, boot_id=lambda: "boot-1", elapsed=clock.monotonic)


def context(facts: dict[str, Any], revision: int = 5, **more: Any) -> Context:
    """Return a context as the service returns it."""
    document = {"stack": "slurm", "facts": facts, "members": {}, **more}
    return Context(document, f"tag{revision}", f"e.{revision}")


def member(generation: str = "1a", state: str = "joining", name: str = "c1") -> dict[str, object]:
    """Return a member's document as the service returns it."""
    return {
        "name": name,
        "group": "node",
        "state": state,
        "generation": generation,
        "attributes": {},
        "ttl": 30,
        "revision": 3,
        "version": 1,
        "joined_at": "2026-01-01T00:00:00.000000Z",
        "updated_at": "2026-01-01T00:00:00.000000Z",
        "updated_by": "somebody",
    }


STACK = {
    "name": "slurm",
    "id": "s1",
    "project_id": "p1",
    "settings": {"description": ""},
    "created_at": "x",
    "updated_at": "x",
    "updated_by": "x",
}
"""The stack's document as the service returns it."""


def batch(*outcomes: str) -> dict[str, object]:
    """Return the answer to a batch."""
    return {
        "results": [{"outcome": outcome, "fact": None} for outcome in outcomes],
        "cursor": "e.9",
    }
