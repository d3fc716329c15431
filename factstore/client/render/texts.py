"""Renders contexts as JSON, shell variables, a hosts file, and facts for Facter."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

from factstore.client.render.document import Document, address_of, leaves, masked, nodes

_HOSTNAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


def raw(document: Document) -> str:
    """Return the document as JSON with sorted keys."""
    return as_json(document)


def env(document: Document) -> str:
    """Return assignments for a POSIX shell: ``nodes/head/ip`` becomes ``NODES_HEAD_IP``.

    Strings are written unchanged, other values as JSON.

    :raises ValueError: two facts would become the same variable.
    """
    variables: dict[str, tuple[str, str]] = {}
    hidden = masked(document)
    for path, value in leaves(document["facts"]):
        if value is None and path in hidden:
            continue  # so that a script that needs the fact fails and does not use "null"
        name = re.sub(r"[^A-Z0-9_]", "_", path.upper())
        name = f"_{name}" if name[0].isdigit() else name
        if name in variables:
            raise ValueError(
                f"{variables[name][0]} and {path} would both become {name}. Rename one of them."
            )
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        variables[name] = (path, text)
    return "".join(f"{name}={shlex.quote(text)}\n" for name, (_, text) in variables.items())


def hosts(document: Document) -> str:
    """Return lines for ``/etc/hosts`` from all facts ``nodes/<name>/ip`` that are addresses."""
    lines = []
    for name, node in sorted(nodes(document).items()):
        address = address_of(node)
        if address is not None and _HOSTNAME.fullmatch(name):
            lines.append(f"{address}\t{name}\n")
    return "".join(lines)


def facter(document: Document) -> str:
    """Return one structured external fact ``factstore``, for ``factstore.json`` in a ``facts.d``."""
    # Any other top-level name could override a built-in fact of Facter, such as "os".
    return as_json({"factstore": document})


def as_json(value: Any) -> str:
    """Return JSON for a file; equal values give equal texts."""
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
