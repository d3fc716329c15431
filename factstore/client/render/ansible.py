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

from factstore.client.render.document import NODES, Document, address_of, folder, nodes
from factstore.client.render.yaml import Tagged, as_yaml

_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?")  # a colon would start a port
_LOCAL = {"localhost", "127.0.0.1"}  # to Ansible these are the machine that it runs on
_BUILT_IN_GROUPS = {"all", "ungrouped"}


def inventory(document: Document) -> str:
    """Return an inventory for Ansible's plugin ``yaml``.

    The hosts are the members, and the nodes whose fact ``ip`` is the address of another machine. Each
    host is in the group of its member and has the variables ``ansible_host`` and ``factstore``. All
    hosts have ``factstore_stack``.
    """
    members, about = folder(document, "members"), nodes(document)
    names = {*members, *(name for name in about if _target(about[name]) is not None)}
    hosts = {
        name: _variables(folder(members, name), about.get(name))
        for name in names
        if _HOST.fullmatch(name) and name not in _LOCAL
    }
    groups: dict[str, Any] = {}
    for name in hosts:
        group = _group(folder(members, name))
        if group:
            groups.setdefault(group, {"hosts": {}})["hosts"][name] = {}
    facts = {name: fact for name, fact in document["facts"].items() if name != NODES}
    stack = {"name": document["stack"], "facts": facts}
    everybody: dict[str, Any] = {
        "vars": {"factstore_stack": Tagged("!unsafe", stack)},
        "hosts": hosts,
        "children": groups,
    }
    return as_yaml({"all": everybody})


def _variables(member: Mapping[str, Any], node: Any) -> dict[str, Any]:
    known = {name: member[name] for name in ("group", "state", "attributes") if name in member}
    facts = node if isinstance(node, dict) else {}
    variables: dict[str, Any] = {"factstore": Tagged("!unsafe", {**known, "facts": facts})}
    address = _target(node)
    return variables if address is None else {"ansible_host": address, **variables}


def _target(node: Any) -> str | None:
    """Return the address to log in to, or None if it is the machine that runs Ansible."""
    address = address_of(node)
    if address is None:
        return None
    parsed = ipaddress.ip_address(address)
    return None if parsed.is_loopback or parsed.is_unspecified else address


def _group(member: Mapping[str, Any]) -> str:
    """Return the name of a member's group in Ansible; empty for none."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", str(member.get("group", "")))
    name = f"_{name}" if name[:1].isdigit() else name
    return "" if name in _BUILT_IN_GROUPS else name
