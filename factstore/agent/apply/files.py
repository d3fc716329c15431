"""Files rendered from a context.  Files that already have the right content are not written."""

from __future__ import annotations

import contextlib
import grp
import hashlib
import os
import pwd
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factstore.agent.apply import templates
from factstore.agent.apply.recording import Recorder
from factstore.agent.apply.sensitive_facts import SensitiveFacts
from factstore.agent.config.reads import ANY, EVERYTHING, Reads
from factstore.agent.config.settings import FileOptions, RenderOptions, Settings, TemplateOptions
from factstore.agent.system.state_dir import write_atomically
from factstore.client.os_errors import errors_about
from factstore.client.render import RENDERERS, Omit, Rendering, write
from factstore.client.render.document import ignore

DEFAULT_MODE, SECRET_MODE = 0o644, 0o600
_ADDRESSES = frozenset({"nodes/", "nodes/*/ip"})
_RENDERER_READS = {
    "hosts": Reads(_ADDRESSES),
    "prometheus-sd": Reads(_ADDRESSES, frozenset({ANY})),
}
"""The reads of renderers; the others read everything."""


class RenderError(Exception):
    """A file cannot be rendered.

    :ivar name: the section of the configuration that describes the file.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(reason)
        self.name = name


@dataclass(frozen=True)
class FileSpec:
    """A file, or a folder of files, that is rendered from the context.

    :param name: its section of the configuration, such as ``template slurm.conf``.
    :param render: returns the text, or the texts by path, for a context's document; it records what it
        reads, and reports what it leaves out.
    """

    name: str
    options: FileOptions
    render: Callable[[Mapping[str, Any], Recorder, Omit], Rendering]


def file_specs(settings: Settings) -> list[FileSpec]:
    """Return all files of the configuration."""
    specs = [
        FileSpec(f"template {name}", options, _template_renderer(options))
        for name, options in settings.templates.items()
    ]
    specs += [
        FileSpec(f"render {name}", options, _renderer(options))
        for name, options in settings.renders.items()
    ]
    return specs


def _template_renderer(
    options: TemplateOptions,
) -> Callable[[Mapping[str, Any], Recorder, Omit], str]:
    return lambda document, recorder, omit: templates.render(options.source, document, recorder)


def _renderer(
    options: RenderOptions,
) -> Callable[[Mapping[str, Any], Recorder, Omit], Rendering]:
    reads = options.reads or _RENDERER_READS.get(options.renderer, EVERYTHING)

    def render(document: Mapping[str, Any], recorder: Recorder, omit: Omit) -> Rendering:
        recorder.add(reads)
        return RENDERERS[options.renderer](document, omit)

    return render


@dataclass(frozen=True)
class RenderedFile:
    """A file with its content and permissions.  An owner or group of -1 is not changed."""

    path: Path
    data: bytes
    mode: int
    owner: int
    group: int

    @property
    def digest(self) -> str:
        """A hash of the content."""
        return hashlib.sha256(self.data).hexdigest()

    def paths(self) -> list[Path]:
        """Return the path in a list."""
        return [self.path]

    def write_if_changed(self) -> bool:
        """Write the file unless it is current; return True if it was written.

        :raises OSError: the file cannot be written.
        """
        with errors_about(self.path):
            if self.is_current():
                return False
        write_atomically(self.path, self.data, mode=self.mode, owner=self.owner, group=self.group)
        return True

    @contextlib.contextmanager
    def staged(self) -> Iterator[Path]:
        """Yield the path of a temporary file beside this one, with its content, owner and mode.

        :raises OSError: the temporary file cannot be written.
        """
        # In the same directory, so that relative paths in the file are valid, and with the same suffix,
        # by which some programs recognize formats.  A killed agent's file has this name, too.
        suffix = self.path.suffix[:50]
        path = self.path.with_name(f".{self.path.stem[:100]}.check{suffix}")
        try:
            with errors_about(path):
                path.unlink(missing_ok=True)  # never written into: it could be a link
                handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, SECRET_MODE)
                with open(handle, "wb") as file:
                    file.write(self.data)
                    if (self.owner, self.group) != (-1, -1):
                        os.fchown(handle, self.owner, self.group)
                    os.fchmod(handle, self.mode)
            yield path
        finally:
            with contextlib.suppress(OSError):
                path.unlink()

    def is_current(self) -> bool:
        """Return True if the file on disk has this content, owner, group and mode."""
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


@dataclass(frozen=True)
class RenderedFolder:
    """A folder with rendered files.  Other files in it are left alone.

    :param files: by path below the folder.
    """

    path: Path
    files: Mapping[str, RenderedFile]

    @property
    def digest(self) -> str:
        """A hash of the names and contents of the files."""
        known = sorted((path, file.digest) for path, file in self.files.items())
        return hashlib.sha256(repr(known).encode()).hexdigest()

    def paths(self) -> list[Path]:
        """Return the paths of all files."""
        return [file.path for file in self.files.values()]

    def write_if_changed(self) -> bool:
        """Write files that are not current and remove former ones; return True if any changed.

        :raises OSError: a file cannot be written.
        """
        texts = {path: file.data.decode() for path, file in self.files.items()}
        by_path = {file.path: file for file in self.files.values()}
        return write(texts, self.path, lambda path, _text: by_path[path].write_if_changed())

    def is_current(self) -> bool:
        """Return True if all files are current."""
        return all(file.is_current() for file in self.files.values())


def render(
    spec: FileSpec,
    document: Mapping[str, Any],
    sensitive: SensitiveFacts,
    recorder: Recorder | None = None,
    omit: Omit = ignore,
) -> RenderedFile | RenderedFolder:
    """Return a file or folder as rendered from a context's document.

    :param recorder: records what is read.
    :param omit: is called with each fact that the format cannot represent, and the reason.
    :raises RenderError: the document does not fit the template or renderer.
    """
    options = spec.options
    try:
        owner = pwd.getpwnam(options.owner).pw_uid if options.owner else -1
        group = grp.getgrnam(options.group).gr_gid if options.group else -1

        def rendered_file(path: Path, text: str) -> RenderedFile:
            mode = options.mode
            if mode is None:
                mode = SECRET_MODE if sensitive.occur_in(text) else DEFAULT_MODE
            return RenderedFile(path, text.encode(), mode, owner, group)

        rendering = spec.render(document, recorder or Recorder(), omit)
        if isinstance(rendering, str):
            return rendered_file(options.destination, rendering)
        files = {
            path: rendered_file(options.destination / path, text)
            for path, text in rendering.items()
        }
        return RenderedFolder(options.destination, files)
    except templates.TemplateError as error:
        raise RenderError(spec.name, sensitive.redact(str(error))) from error
    except KeyError as error:
        reason = str(error.args[0]) if error.args else "a key is missing"
        raise RenderError(spec.name, sensitive.redact(reason)) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise RenderError(spec.name, sensitive.redact(f"{error}")) from error
