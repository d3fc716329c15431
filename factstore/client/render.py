"""Contexts as files that other software reads.

A renderer is a function from a context's document to a text, with a line in the table at the end.
It never trusts a value: facts are posted by many hands, and none may add lines of its own.
"""

from __future__ import annotations

import ipaddress
import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Document = Mapping[str, Any]

_HOSTNAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


def raw(document: Document) -> str:
    """The document itself as JSON, its keys sorted."""
    return json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def env(document: Document) -> str:
    """Assignments for a POSIX shell: ``nodes/head/ip`` becomes ``NODES_HEAD_IP``.

    A string stands as it is, anything else as JSON.

    :raises ValueError: two facts would become one variable.
    """
    variables: dict[str, tuple[str, str]] = {}
    for path, value in _leaves(document["facts"]):
        name = re.sub(r"[^A-Z0-9_]", "_", path.upper())
        name = f"_{name}" if name[0].isdigit() else name
        if name in variables:
            raise ValueError(f"{variables[name][0]} and {path} would both become {name}.")
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        variables[name] = (path, text)
    return "".join(f"{name}={shlex.quote(text)}\n" for name, (_, text) in variables.items())


def hosts(document: Document) -> str:
    """Lines for ``/etc/hosts`` from all facts ``nodes/<name>/ip`` that hold an address."""
    nodes = document["facts"].get("nodes", {})
    lines = []
    for name, about in sorted(nodes.items()):
        address = _address(about.get("ip") if isinstance(about, dict) else None)
        if address is not None and _HOSTNAME.fullmatch(name):
            lines.append(f"{address}\t{name}\n")
    return "".join(lines)


def _leaves(folder: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """The values below a folder, by path.

    A context does not tell a folder from a fact whose value is an object; here both are opened.
    """
    for name, child in folder.items():
        path = f"{above}/{name}" if above else name
        if isinstance(child, dict) and child:
            yield from _leaves(child, path)
        else:
            yield path, child


def _address(value: Any) -> str | None:
    try:
        return str(ipaddress.ip_address(value)) if isinstance(value, str) else None
    except ValueError:
        return None


RENDERERS: Mapping[str, Callable[[Document], str]] = {
    "raw": raw,
    "env": env,
    "hosts": hosts,
}
