"""Files made of a context: all are rendered before any is written, and what is right is left alone."""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factstore.agent.apply import templates
from factstore.agent.apply.sensitive_facts import Sealed
from factstore.agent.config.settings import Render, Settings, Template
from factstore.agent.system.state_dir import write_whole
from factstore.client.render import RENDERERS, Rendering, write

DEFAULT_MODE, SECRET_MODE = 0o644, 0o600


class OutputBroken(Exception):
    """A file that cannot be made.

    :ivar name: the section that describes it; the text says what is wrong with it.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(reason)
        self.name = name


@dataclass(frozen=True, slots=True)
class Output:
    """One file, or one folder of files.

    :param name: the section that describes it, such as ``template slurm.conf``.
    :param render: from a context's document to the text or the texts.
    """

    name: str
    about: Template | Render
    render: Callable[[Mapping[str, Any]], Rendering]


def outputs(settings: Settings) -> list[Output]:
    """All files that are to be made."""
    made = [
        Output(f"template {name}", each, _by_template(each))
        for name, each in settings.templates.items()
    ]
    made += [
        Output(f"render {name}", each, RENDERERS[each.renderer])
        for name, each in settings.renders.items()
    ]
    return made


def _by_template(about: Template) -> Callable[[Mapping[str, Any]], str]:
    return lambda document: templates.render(about.source, document)


@dataclass(frozen=True, slots=True)
class Rendered:
    """A file as it is to be."""

    path: Path
    data: bytes
    mode: int
    owner: int
    group: int

    @property
    def digest(self) -> str:
        """A hash of its content."""
        return hashlib.sha256(self.data).hexdigest()

    def write(self) -> bool:
        """Have the file be so; whether it was not.

        :raises OSError: it cannot be written.
        """
        if self.stands():
            return False
        write_whole(self.path, self.data, mode=self.mode, owner=self.owner, group=self.group)
        return True

    def stands(self) -> bool:
        """Whether the file is so."""
        try:
            found = os.lstat(self.path)
            return (
                stat.S_ISREG(found.st_mode)
                and stat.S_IMODE(found.st_mode) == self.mode
                and self.owner in (-1, found.st_uid)
                and self.group in (-1, found.st_gid)
                and self.path.read_bytes() == self.data
            )
        except FileNotFoundError:
            return False


@dataclass(frozen=True, slots=True)
class RenderedFolder:
    """A folder as it is to be, as far as its files are ours.

    :param files: by their path below it.
    """

    path: Path
    files: Mapping[str, Rendered]

    @property
    def digest(self) -> str:
        """A hash of names and contents."""
        known = sorted((path, file.digest) for path, file in self.files.items())
        return hashlib.sha256(repr(known).encode()).hexdigest()

    def write(self) -> bool:
        """Have all files be so, and no others of ours; whether they were not.

        :raises OSError: one cannot be written.
        """
        texts = {path: file.data.decode() for path, file in self.files.items()}
        by_path = {file.path: file for file in self.files.values()}
        return write(texts, self.path, lambda path, _text: by_path[path].write())

    def stands(self) -> bool:
        """Whether all files are so."""
        return all(file.stands() for file in self.files.values())


def render(
    output: Output, document: Mapping[str, Any], sealed: Sealed
) -> Rendered | RenderedFolder:
    """A file or a folder as a context has it.

    :raises OutputBroken: it cannot be made of this context.
    """
    about = output.about
    try:
        owner = pwd.getpwnam(about.owner).pw_uid if about.owner else -1
        group = grp.getgrnam(about.group).gr_gid if about.group else -1

        def rendered(path: Path, text: str) -> Rendered:
            mode = about.mode
            if mode is None:  # nobody said that others may read it
                mode = SECRET_MODE if sealed.within(text) else DEFAULT_MODE
            return Rendered(path, text.encode(), mode, owner, group)

        made = output.render(document)
        if isinstance(made, str):
            return rendered(about.destination, made)
        files = {path: rendered(about.destination / path, text) for path, text in made.items()}
        return RenderedFolder(about.destination, files)
    except templates.TemplateBroken as error:
        raise OutputBroken(output.name, sealed.hidden(str(error))) from error
    except KeyError as error:
        reason = str(error.args[0]) if error.args else "a key is missing"
        raise OutputBroken(output.name, sealed.hidden(reason)) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise OutputBroken(output.name, sealed.hidden(f"{error}")) from error
