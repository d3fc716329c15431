"""``factstore-agent check``: problems of the configuration and of the files that it names."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Iterator, Mapping

from factstore.agent.apply import templates
from factstore.agent.apply.files import FileSpec, file_specs
from factstore.agent.config.settings import RenderOptions, Settings, TemplateOptions
from factstore.agent.errors import AgentError
from factstore.agent.session.connection import open_connection
from factstore.agent.system.drop_ins import drop_ins
from factstore.client.render import FOLDERS


def find_problems(settings: Settings, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each problem.  Nothing is sent or written."""
    try:
        open_connection(settings, environ)
    except AgentError as error:
        yield str(error)
    for spec in file_specs(settings):
        for problem in _file_problems(spec):
            yield f"[{spec.name}] {problem}"
    for section, directory in (
        ("facts", settings.facts.directory),
        ("react", settings.react.hooks),
    ):
        try:
            files = drop_ins(directory)
        except OSError as error:
            yield f"[{section}] {directory} cannot be read: {error.strerror}."
            continue
        for file in files if section == "react" else ():
            if not os.access(file, os.X_OK):
                yield f"[react] hooks: {file} is not executable and will not run."


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
    for option, name, look_up in (
        ("owner", options.owner, pwd.getpwnam),
        ("group", options.group, grp.getgrnam),
    ):
        try:
            if name is not None:
                look_up(name)
        except KeyError:
            yield f"{option}: {name} does not exist on this machine."
