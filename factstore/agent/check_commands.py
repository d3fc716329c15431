"""The commands ``check`` and ``render``: the configuration, and what it makes of the last context."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from factstore.agent import config_check, drop_in_check, service_check
from factstore.agent.apply.files import RenderedFolder, RenderError, file_specs, render
from factstore.agent.apply.sensitive_facts import SensitiveFacts, hide
from factstore.agent.config.settings import Settings
from factstore.agent.errors import (
    EXIT_MISCONFIGURED,
    EXIT_OK,
    EXIT_UNAVAILABLE,
    AgentError,
    Misconfigured,
    describe,
    print_error,
)
from factstore.agent.member_commands import state_dir
from factstore.agent.session.connection import open_connection
from factstore.agent.system.state_dir import CONTEXT
from factstore.client.errors import FactstoreError


def add_check_commands(
    command: Callable[[str, Callable[[Settings, Any], int], str], argparse.ArgumentParser],
) -> None:
    """Add the commands to a parser.

    :param command: adds a command with a name, a function and a summary, and returns its parser.
    """
    checking = command("check", _check, "check the configuration")
    checking.add_argument(
        "--service",
        action="store_true",
        help="also ask the service: connection, certificate, credential, and clock",
    )
    rendering = command("render", _render, "print a file rendered from the last context")
    rendering.add_argument("name", metavar="NAME", help="such as hosts for [render hosts]")


def _check(settings: Settings, args: argparse.Namespace) -> int:
    """Check the configuration, and the files that it names.  No request is sent without --service."""
    problems = [
        *config_check.find_problems(settings, os.environ),
        *drop_in_check.find_problems(settings),
    ]
    status = EXIT_OK
    if args.service:
        try:
            problems += service_check.find_problems(settings, os.environ)
        except FactstoreError as error:
            print_error(describe(error))
            status = EXIT_UNAVAILABLE
    for problem in problems:
        print_error(problem)
    stored = state_dir(settings).read(CONTEXT)
    if stored is not None:
        for note in config_check.find_omissions(settings, stored["document"]):
            print_error(f"note: {note}")
    if problems or status != EXIT_OK:
        return EXIT_MISCONFIGURED if problems else status
    print(_summary(settings))
    return EXIT_OK


def _summary(settings: Settings) -> str:
    """Return who the agent would be, and how much it would do."""
    member = f"member {settings.agent.member}" if settings.agent.member else "a member"
    counts = {
        "templates": len(settings.templates),
        "renderers": len(settings.renders),
        "hooks": drop_in_check.count_hooks(settings),
        "files of facts": drop_in_check.count_facts(settings),
    }
    found = ", ".join(f"{name} {number}" for name, number in counts.items())
    return f"ok: {member} of {settings.agent.stack} in group {settings.agent.group}; {found}"


def _render(settings: Settings, args: argparse.Namespace) -> int:
    """Print a template or renderer's file for the last context, with *** for sealed facts."""
    every = file_specs(settings)
    specs = [spec for spec in every if spec.name.partition(" ")[2] == args.name]
    if len(specs) != 1:
        known = ", ".join(f"[{spec.name}]" for spec in every) or "none"
        count = "Several sections are" if specs else "No section is"
        raise Misconfigured(f"{count} named {args.name}. The sections are: {known}.")
    stored: Mapping[str, Any] | None = state_dir(settings).read(CONTEXT)
    if stored is None:
        raise AgentError("No context has been stored yet: run factstore-agent run --once")
    connection = open_connection(settings, os.environ)
    try:
        document = hide(stored["document"])
        rendered = render(specs[0], document, SensitiveFacts(connection.stack))
    except RenderError as error:
        raise AgentError(f"[{error.name}]: {error}") from error
    if isinstance(rendered, RenderedFolder):
        raise AgentError(f"[{specs[0].name}] is a folder: {', '.join(rendered.files)}")
    sys.stdout.buffer.write(rendered.data)
    sys.stdout.buffer.flush()
    return EXIT_OK
