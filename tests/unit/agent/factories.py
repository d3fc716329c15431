"""Things that the agent's tests work on."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from factstore.agent.agent import Parts
from factstore.agent.config.settings import Settings, load_settings
from factstore.agent.session.connection import Connection
from factstore.agent.system.state_dir import StateDir
from factstore.client import Context
from factstore.client.clock import SystemClock
from tests.unit.client.stub import FakeClock, Service

OWNER = ("slurm", "c1")
REAL = SystemClock()
"""For what other programs do."""


def write(file: Path, text: str, mode: int = 0o644) -> Path:
    """A file with its directories; the text may be indented."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(textwrap.dedent(text).lstrip("\n"))
    file.chmod(mode)
    return file


def program(file: Path, script: str) -> Path:
    """An executable."""
    return write(file, "#!/bin/sh\n" + textwrap.dedent(script), 0o755)


def settings(directory: Path, text: str = "", **agent: object) -> Settings:
    """Settings of an agent with everything below a directory.

    :param text: further sections; ``DIR`` stands for the directory.
    :param agent: options of ``[agent]``.
    """
    base = {"stack": "slurm", "member": "c1", "state_dir": directory / "state", **agent}
    lines = ["[agent]", *(f"{name} = {value}" for name, value in base.items())]
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
    """A state directory that is there."""
    made = StateDir(directory / "state", owner)
    made.create()
    return made


def parts(made: Settings, service: Service, clock: FakeClock | SystemClock = REAL) -> Parts:
    """An agent before a stub of a service."""
    client_clock = clock if isinstance(clock, FakeClock) else FakeClock()
    stack = service.stack(client_clock, retry_for=0.0)
    return Parts(made, Connection(stack, None), clock, boot=lambda: "boot-1")


def context(facts: dict[str, Any], revision: int = 5, **more: Any) -> Context:
    """A context as the service gives it."""
    document = {"stack": "slurm", "facts": facts, "members": {}, **more}
    return Context(document, f"tag{revision}", f"e.{revision}")


def member(generation: str = "1a", state: str = "joining", name: str = "c1") -> dict[str, object]:
    """A member as the service shows it."""
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
"""The stack as the service describes it."""


def batch(*outcomes: str) -> dict[str, object]:
    """The answer to a batch."""
    return {
        "results": [{"outcome": outcome, "fact": None} for outcome in outcomes],
        "cursor": "e.9",
    }
