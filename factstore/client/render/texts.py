"""Renders contexts as JSON, shell variables, a hosts file, and facts for Facter."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

from factstore.client.render.document import (
    Document,
    Omit,
    address_of,
    apart,
    ignore,
    leaves,
    masked,
    nodes,
    report_no_address,
)

_HOSTNAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")

_EVERY_MACHINE = {"localhost", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback"}


def raw(document: Document, omit: Omit = ignore) -> str:
    """Return the document as JSON with sorted keys."""
    return as_json(document)


def env(document: Document, omit: Omit = ignore) -> str:
    """Return assignments for a POSIX shell: ``nodes/head/ip`` becomes ``NODES_HEAD_IP``.

    Strings are written unchanged, other values as JSON.  Nulls, and facts that would become the same
    variable, are left out.
    """
    hidden = masked(document)
    values: dict[str, Any] = {}
    for path, value in leaves(document["facts"]):
        if value is not None:
            values[path] = value
        else:  # a script that needs the fact fails, and does not use "null"
            omit(path, "is sealed" if path in hidden else "is null")
    # No path is a variable's name: a fact must not take the place of another one.
    variables = apart(
        (f"/{path}" for path in values), _variable, lambda path, why: omit(path[1:], why)
    )
    lines = []
    for path, name in variables.items():
        value = values[path[1:]]
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        lines.append(f"{name}={shlex.quote(text)}\n")
    return "".join(lines)


def _variable(path: str) -> str:
    name = re.sub(r"[^A-Z0-9_]", "_", path[1:].upper())
    return f"_{name}" if name[0].isdigit() else name


def hosts(document: Document, omit: Omit = ignore) -> str:
    """Return lines for ``/etc/hosts`` from all facts ``nodes/<name>/ip`` that are addresses."""
    found = {}
    for name, node in sorted(nodes(document).items()):
        address = address_of(node)
        if address is not None and name.partition(".")[0].lower() in _EVERY_MACHINE:
            omit(f"nodes/{name}", "is a name of every machine itself")
        elif address is not None and _HOSTNAME.fullmatch(name):
            found[name] = address
        elif address is not None:
            omit(f"nodes/{name}", "is not a valid host name")
        else:
            report_no_address(document, name, omit)
    # Resolvers do not distinguish capitals.
    kept = apart(found, str.lower, lambda name, why: omit(f"nodes/{name}", why))
    return "".join(f"{found[name]}\t{name}\n" for name in kept)


def facter(document: Document, omit: Omit = ignore) -> str:
    """Return one structured external fact ``factstore``, for ``factstore.json`` in a ``facts.d``."""
    # Any other top-level name could override a built-in fact of Facter, such as "os".
    return as_json({"factstore": document})


def as_json(value: Any) -> str:
    """Return JSON for a file; equal values give equal texts."""
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
