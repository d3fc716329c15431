"""``factstore-agent check``: problems of the configuration and of the files that it names."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from factstore.agent.apply import templates
from factstore.agent.apply.files import FileSpec, file_specs
from factstore.agent.config.settings import RenderOptions, Settings, TemplateOptions
from factstore.agent.errors import AgentError
from factstore.agent.session.connection import open_connection
from factstore.client import os_errors
from factstore.client.render import FOLDERS, render


def find_problems(settings: Settings, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each problem of the configuration.  Nothing is sent, and no file changes."""
    try:
        open_connection(settings, environ)
    except AgentError as error:
        yield str(error)
    yield from _keystone_problems(settings.keystone)
    yield from _state_problems(settings.agent.state_dir)
    hooks = settings.deploy.hooks
    if hooks is not None and not hooks.is_dir():
        yield f"[deploy] hooks: {hooks} is not a directory."
    for name in settings.deploy.actions:
        if hooks is not None and name != "*" and not os.access(hooks / name, os.X_OK):
            yield f"[deploy] actions: {hooks / name} does not exist or is not executable."
    for spec in file_specs(settings):
        for problem in _file_problems(spec):
            yield f"[{spec.name}] {problem}"


def find_omissions(settings: Settings, document: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each fact of a context that a renderer leaves out."""
    for section, options in settings.renders.items():
        found: dict[str, str] = {}
        render(options.renderer, document, found.__setitem__)
        for name, reason in found.items():
            yield f"[render {section}] leaves out {name}, which {reason}."


def _keystone_problems(options: Mapping[str, str]) -> Iterator[str]:
    try:
        from factstore.client import keystone
    except ImportError:
        return  # which the connection reports if it is needed
    if not options:
        return
    variables = {keystone.variable_of(option): option for option in options}
    unknown = keystone.unknown_variables(variables, options.get("auth_type", "password"))
    for variable in unknown:
        yield f"[keystone] {variables[variable]}: this option is unknown."


def _state_problems(directory: Path) -> Iterator[str]:
    existing = next(each for each in (directory, *directory.parents) if os.path.lexists(each))
    if not existing.is_dir():
        yield f"[agent] state_dir: {existing} is not a directory."
    elif existing != directory:
        try:
            # Only an attempt shows it: root has access to /proc, which takes no directories.
            os.rmdir(tempfile.mkdtemp(prefix=".factstore-agent-check-", dir=existing))
        except OSError as error:
            yield (
                f"[agent] state_dir: {directory} does not exist and cannot be created in {existing}: "
                f"{os_errors.reason(error)}. Create it, or name another directory."
            )
    elif not os.access(directory, os.W_OK | os.X_OK):
        yield f"[agent] state_dir: {directory} cannot be written."


def _file_problems(spec: FileSpec) -> Iterator[str]:
    options = spec.options
    if isinstance(options, TemplateOptions):
        try:
            templates.check(options.source)
        except templates.TemplateError as error:
            yield f"source: {error}."
    is_folder = isinstance(options, RenderOptions) and options.renderer in FOLDERS
    if not options.destination.parent.is_dir():
        yield f"destination: the directory {options.destination.parent} does not exist."
    elif options.destination.is_dir() and not is_folder:
        yield f"destination: {options.destination} is a directory."
    elif options.destination.exists() and is_folder and not options.destination.is_dir():
        yield f"destination: {options.destination} is not a directory."
    elif not os.access(options.destination.parent, os.W_OK | os.X_OK):
        yield f"destination: the directory {options.destination.parent} cannot be written."
    for option, command in (("check", options.check), ("command", options.command)):
        if command is not None and (reason := _syntax_error(command)):
            yield f"{option}: {reason}."
    for option, name, look_up in (
        ("owner", options.owner, pwd.getpwnam),
        ("group", options.group, grp.getgrnam),
    ):
        try:
            if name is not None:
                look_up(name)
        except KeyError:
            yield f"{option}: {name} does not exist on this machine."


def _syntax_error(command: str) -> str | None:
    """Return what the shell reports about the syntax of a command, or None."""
    checked = subprocess.run(  # noqa: S603 - nothing of it is executed
        ["/bin/sh", "-n", "-c", command],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if checked.returncode == 0:
        return None
    return " ".join(checked.stderr.split()) or "/bin/sh does not accept the syntax"
