"""Contexts as one text: JSON, shell variables, a hosts file, facts for Facter."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

from factstore.client.render.document import Document, address_of, leaves, masked, nodes

_HOSTNAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


def raw(document: Document) -> str:
    """The document itself as JSON, its keys sorted."""
    return as_json(document)


def env(document: Document) -> str:
    """Assignments for a POSIX shell: ``nodes/head/ip`` becomes ``NODES_HEAD_IP``.

    A string stands as it is, anything else as JSON. What is masked gets no variable, so that a
    script that needs it fails instead of taking ``null`` for it.

    :raises ValueError: two facts would become one variable.
    """
    variables: dict[str, tuple[str, str]] = {}
    hidden = masked(document)
    for path, value in leaves(document["facts"]):
        if value is None and path in hidden:
            continue
        name = re.sub(r"[^A-Z0-9_]", "_", path.upper())
        name = f"_{name}" if name[0].isdigit() else name
        if name in variables:
            raise ValueError(f"{variables[name][0]} and {path} would both become {name}.")
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        variables[name] = (path, text)
    return "".join(f"{name}={shlex.quote(text)}\n" for name, (_, text) in variables.items())


def hosts(document: Document) -> str:
    """Lines for ``/etc/hosts`` from all facts ``nodes/<name>/ip`` that hold an address."""
    lines = []
    for name, node in sorted(nodes(document).items()):
        address = address_of(node)
        if address is not None and _HOSTNAME.fullmatch(name):
            lines.append(f"{address}\t{name}\n")
    return "".join(lines)


def facter(document: Document) -> str:
    """One structured external fact ``factstore``, for ``factstore.json`` in a ``facts.d``.

    Any other name at the top would take precedence over a fact of Facter's own, such as ``os``.
    """
    return as_json({"factstore": document})


def as_json(value: Any) -> str:
    """JSON for files: equal values make equal texts."""
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
