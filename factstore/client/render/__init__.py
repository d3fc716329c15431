"""Renders contexts into the formats of other software.

A renderer is a function from a context document to a text, or to several texts by their path below a
folder, and has a row in one of the tables below. Renderers do not trust the values of facts: a value
never adds a line, a variable or a file. A fact that a format cannot represent is left out and reported,
so that no writer of facts can keep others from their files. Fetching the document and writing files is
left to others; for the latter, see :mod:`.writing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, Union

from factstore.client.render.ansible import inventory
from factstore.client.render.chef import data_bags
from factstore.client.render.document import Document, Omit, ignore
from factstore.client.render.prometheus import scrape_targets
from factstore.client.render.texts import env, facter, hosts, raw
from factstore.client.render.writing import Rendering, write
from factstore.client.render.yaml import yaml

__all__ = ["FILES", "FOLDERS", "RENDERERS", "Document", "Omit", "Rendering", "render", "write"]


class FileRenderer(Protocol):
    """Returns the text of a document; *omit* is called for each fact that is left out."""

    def __call__(self, document: Document, omit: Omit = ignore) -> str: ...


class FolderRenderer(Protocol):
    """Returns texts by path; *omit* is called for each fact that is left out."""

    def __call__(self, document: Document, omit: Omit = ignore) -> Mapping[str, str]: ...


Renderer = Union[FileRenderer, FolderRenderer]

FILES: Mapping[str, FileRenderer] = {
    "raw": raw,
    "yaml": yaml,
    "env": env,
    "hosts": hosts,
    "facter": facter,
    "ansible": inventory,
    "prometheus-sd": scrape_targets,
}
"""Renderers with one file."""
FOLDERS: Mapping[str, FolderRenderer] = {
    "data-bags": data_bags,
}
"""Renderers with several files below a folder."""
RENDERERS: Mapping[str, Renderer] = {**FILES, **FOLDERS}


def render(name: str, document: Document, omit: Omit = ignore) -> Rendering:
    """Render a context document with the renderer of this name.

    :param omit: is called with each fact that is left out and the reason.
    :return: a text, or several texts by their path below a folder.
    :raises ValueError: the renderer does not exist.
    """
    if name not in RENDERERS:
        raise ValueError(
            f"The renderer {name!r} does not exist. Use one of {', '.join(RENDERERS)}."
        )
    return RENDERERS[name](document, omit)
