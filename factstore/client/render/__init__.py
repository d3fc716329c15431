"""Contexts as files that other software reads.

A renderer is a function from a context's document to a text, or to texts by their path below a folder,
with a line in a table below. It never trusts a value: facts are posted by many hands, and none may add
lines, variables or files of its own. It knows nothing of where the document came from, nor of disks:
see :mod:`.writing`.
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
"""Those that make one file."""
FOLDERS: Mapping[str, Callable[[Document], Mapping[str, str]]] = {
    "data-bags": data_bags,
}
"""Those that make several, below a folder."""
RENDERERS: Mapping[str, Callable[[Document], Rendering]] = {**FILES, **FOLDERS}


def render(name: str, document: Document) -> Rendering:
    """What the renderer of this name makes of a context's document.

    :return: a text, or several files as texts by the path below a folder.
    :raises ValueError: there is no such renderer, or this one cannot tell all facts apart.
    """
    if name not in RENDERERS:
        raise ValueError(f"there is no renderer {name!r}, but {', '.join(RENDERERS)}.")
    return RENDERERS[name](document)
