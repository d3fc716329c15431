"""``factstore-agent check``: what would go wrong, told before it does."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Iterator, Mapping

from factstore.agent.apply import templates
from factstore.agent.apply.files import file_specs
from factstore.agent.config.settings import RenderOptions, Settings, TemplateOptions
from factstore.agent.errors import AgentError
from factstore.agent.session.connection import open_connection
from factstore.agent.system.drop_ins import drop_ins
from factstore.client.render import FOLDERS


def _makes_folder(about: TemplateOptions | RenderOptions) -> bool:
    return isinstance(about, RenderOptions) and about.renderer in FOLDERS


def mistakes(settings: Settings, environ: Mapping[str, str]) -> Iterator[str]:
    """All that is wrong with what the configuration names; nothing is sent or written."""
    try:
        open_connection(settings, environ)
    except AgentError as error:
        yield str(error)
    for output in file_specs(settings):
        about = output.options
        if isinstance(about, TemplateOptions):
            try:
                templates.check(about.source)
            except templates.TemplateError as error:
                yield f"[{output.name}] source: {error}."
        if not about.destination.parent.is_dir():
            yield f"[{output.name}] destination: there is no directory {about.destination.parent}."
        elif about.destination.is_dir() and not _makes_folder(about):
            yield f"[{output.name}] destination: {about.destination} is a directory."
        for what, name, look in (
            ("owner", about.owner, pwd.getpwnam),
            ("group", about.group, grp.getgrnam),
        ):
            try:
                if name is not None:
                    look(name)
            except KeyError:
                yield f"[{output.name}] {what}: there is no {name} here."
    for title, directory in (("facts", settings.facts.directory), ("react", settings.react.hooks)):
        try:
            found = drop_ins(directory)
        except OSError as error:
            yield f"[{title}] {directory}: {error.strerror}."
            continue
        if title == "react":
            for file in found:
                if not os.access(file, os.X_OK):
                    yield f"[react] hooks: {file} is not executable, and is not run."
