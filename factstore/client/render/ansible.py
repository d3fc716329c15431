"""Renders contexts as an Ansible inventory.

Ansible treats the values of variables as templates, and a template can run commands on the machine that
runs Ansible. Some variables control by their name what is run. Therefore all facts are placed below a
variable of factstore and marked ``!unsafe``, which Ansible never treats as a template.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from factstore.client.render.document import (
    NODES,
    Document,
    Omit,
    address_of,
    apart,
    folder,
    ignore,
    nodes,
    report_no_address,
)
from factstore.client.render.yaml import Tagged, as_yaml

_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?")  # a colon would start a port
_LOCAL = {"localhost", "127.0.0.1"}  # to Ansible these are the machine that it runs on
_BUILT_IN_GROUPS = {"all", "ungrouped"}


def inventory(document: Document, omit: Omit = ignore) -> str:
    """Return an inventory for Ansible's plugin ``yaml``.

    The hosts are the members, and the nodes whose fact ``ip`` is the address of another machine. Each
    host is in the group of its member and has the variables ``ansible_host`` and ``factstore``. All
    hosts have ``factstore_stack``.  Groups that would have the same name in Ansible are left out.
    """
    return as_yaml({"all": everybody(document, omit)})


def everybody(document: Document, omit: Omit = ignore, address: str = "ip") -> dict[str, Any]:
    """Return the group ``all``: its ``hosts``, its ``vars``, and groups as ``children``.

    :param address: the path below ``nodes/NAME/`` of the fact with the address to log in to.
    """
    members, about = folder(document, "members"), nodes(document)
    names = {*members, *(name for name in about if _target(about[name], address) is not None)}
    hosts: dict[str, Any] = {}
    members_of: dict[str, dict[str, Any]] = {}
    for name in sorted(names):
        if not _HOST.fullmatch(name) or name in _LOCAL:
            omit(f"host {name}", "is a name that Ansible would interpret differently")
            continue
        hosts[name] = _variables(folder(members, name), about.get(name), address)
        if address_of(about.get(name), address) is None:
            report_no_address(document, name, omit, address)
        group = str(folder(members, name).get("group", ""))
        if group and group not in _BUILT_IN_GROUPS:
            members_of.setdefault(group, {})[name] = {}
    kept = apart(members_of, _group, lambda group, why: omit(f"group {group}", why))
    groups = {
        kept[group]: {"hosts": members_of[group]}
        for group in kept
        # Ansible warns of a group that is named like a host; here both are the same host.
        if set(members_of[group]) != {kept[group]}
    }
    facts = {name: fact for name, fact in document["facts"].items() if name != NODES}
    stack = {"name": document["stack"], "facts": facts}
    return {
        "vars": {"factstore_stack": Tagged("!unsafe", stack)},
        "hosts": hosts,
        "children": groups,
    }


def _variables(member: Mapping[str, Any], node: Any, path: str) -> dict[str, Any]:
    known = {name: member[name] for name in ("group", "state", "attributes") if name in member}
    facts = node if isinstance(node, dict) else {}
    variables: dict[str, Any] = {"factstore": Tagged("!unsafe", {**known, "facts": facts})}
    address = _target(node, path)
    return variables if address is None else {"ansible_host": address, **variables}


def _target(node: Any, path: str) -> str | None:
    """Return the address to log in to, or None if it is the machine that runs Ansible."""
    address = address_of(node, path)
    if address is None:
        return None
    parsed = ipaddress.ip_address(address)
    return None if parsed.is_loopback or parsed.is_unspecified else address


def _group(name: str) -> str:
    """Return the name of a group in Ansible."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return f"_{name}" if name[:1].isdigit() else name
