"""Renders contexts into the formats of other software.

A renderer is a function from a context document to a text, or to several texts by their path below a
folder, and has a row in one of the tables below. Renderers do not trust the values of facts: a value
never adds a line, a variable or a file. Fetching the document and writing files is left to others; for
the latter, see :mod:`.writing`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from factstore.client.render.ansible import inventory
from factstore.client.render.chef import data_bags
from factstore.client.render.document import Document
from factstore.client.render.texts import env, facter, hosts, raw
from factstore.client.render.writing import Rendering, write
from factstore.client.render.yaml import yaml

__all__ = ["FILES", "FOLDERS", "RENDERERS", "Document", "Rendering", "render", "write"]

FILES: Mapping[str, Callable[[Document], str]] = {
    "raw": raw,
    "yaml": yaml,
    "env": env,
    "hosts": hosts,
    "facter": facter,
    "ansible": inventory,
}
"""Renderers with one file."""
FOLDERS: Mapping[str, Callable[[Document], Mapping[str, str]]] = {
    "data-bags": data_bags,
}
"""Renderers with several files below a folder."""
RENDERERS: Mapping[str, Callable[[Document], Rendering]] = {**FILES, **FOLDERS}


def render(name: str, document: Document) -> Rendering:
    """Render a context document with the renderer of this name.

    :return: a text, or several texts by their path below a folder.
    :raises ValueError: the renderer does not exist, or facts would conflict in its format.
    """
    if name not in RENDERERS:
        raise ValueError(
            f"The renderer {name!r} does not exist. Use one of {', '.join(RENDERERS)}."
        )
    return RENDERERS[name](document)
