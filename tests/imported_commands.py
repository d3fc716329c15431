"""All that commands and agents import, for the template of :mod:`tests.commands`."""

from __future__ import annotations

import importlib
import sys

_MODULES = (
    "factstore.agent.cli",
    "factstore.cmd.deployment",
    "factstore.cmd.key_rotation",
    "factstore.cmd.main",
    "factstore.cmd.purge_project",
)


def load() -> None:
    """Import the modules."""
    sys.modules["osprofiler"] = None  # type: ignore[assignment]  # see tests.commands.program
    for name in _MODULES:
        importlib.import_module(name)
    from factstore.agent import cli
    from tests.agents import ARGV

    cli.own_command = lambda: ARGV  # it would find the command line of the template
