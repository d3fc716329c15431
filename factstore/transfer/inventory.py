"""Reads inventories of Ansible: YAML, INI, and the JSON of ``ansible-inventory --list``."""

from __future__ import annotations

import ast
import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from factstore.client import Put
from factstore.client.render import Omit
from factstore.transfer.paths import leaves, puts
from factstore.transfer.texts import load_yaml

_SECTION = re.compile(r"\[([^\]:]+)(?::(vars|children))?\]")
_BUILT_IN = {"all", "ungrouped"}


class _Inventory:
    """Hosts with their variables, and groups with their hosts."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self._groups: dict[str, list[str]] = {}

    def host(self, name: str, variables: Mapping[str, Any], group: str) -> None:
        """Add a host of a group."""
        for key, value in variables.items():
            if key == "ansible_host":
                self.values[f"nodes/{name}/ip"] = value
            elif key == "factstore" and isinstance(value, dict):
                facts = value.get("facts")
                self.values.update(leaves({f"nodes/{name}": facts}) if facts else ())
            else:
                self.values[f"nodes/{name}/{key}"] = value
        hosts = self._groups.setdefault(group, [])
        if name not in hosts:
            hosts.append(name)

    def variables(self, group: str, found: Mapping[str, Any]) -> None:
        """Add the variables of a group."""
        for key, value in found.items():
            if key == "factstore_stack" and isinstance(value, dict):
                self.values.update(leaves(value.get("facts") or {}))
            else:
                self.values[f"groups/{group}/vars/{key}"] = value

    def facts(self) -> dict[str, Any]:
        """Return all values by path."""
        groups = {
            f"groups/{name}/hosts": hosts
            for name, hosts in self._groups.items()
            if name not in _BUILT_IN
        }
        return {**self.values, **groups}


def read_inventory(text: str, omit: Omit) -> list[Put]:
    """Return ``nodes/<host>/<variable>`` and ``groups/<group>``; ``ansible_host`` becomes ``ip``.

    :raises ValueError: the text is not an inventory.
    """
    inventory = _Inventory()
    if text.lstrip().startswith("{"):
        _listed(json.loads(text), inventory)
    elif _is_ini(text):
        _ini(text, inventory)
    else:
        for name, group in load_yaml(text).items():
            _group(str(name), group, inventory)
    return puts(inventory.facts(), omit)


def _group(name: str, found: Any, inventory: _Inventory) -> None:
    group = found if isinstance(found, dict) else {}
    inventory.variables(name, group.get("vars") or {})
    for host, variables in (group.get("hosts") or {}).items():
        inventory.host(str(host), variables if isinstance(variables, dict) else {}, name)
    for child, inner in (group.get("children") or {}).items():
        _group(str(child), inner, inventory)


def _listed(document: dict[str, Any], inventory: _Inventory) -> None:
    variables = (document.get("_meta") or {}).get("hostvars") or {}
    for name, group in document.items():
        if name == "_meta" or not isinstance(group, dict):
            continue
        inventory.variables(name, group.get("vars") or {})
        for host in group.get("hosts") or []:
            inventory.host(host, variables.get(host) or {}, name)
    for host, found in variables.items():
        inventory.host(host, found, "all")


def _is_ini(text: str) -> bool:
    lines = [line.strip() for line in text.splitlines()]
    words = [line for line in lines if line and line[0] not in "#;"]
    if not words or words[0] == "---":
        return False
    return _SECTION.fullmatch(words[0]) is not None or ":" not in words[0].split()[0]


def _ini(text: str, inventory: _Inventory) -> None:
    group, kind = "ungrouped", None
    for line in text.splitlines():
        stripped = line.strip()
        if not stripped or stripped[0] in "#;":
            continue
        section = _SECTION.fullmatch(stripped)
        if section:
            group, kind = section[1], section[2]
        elif kind == "vars":
            key, _, value = stripped.partition("=")
            inventory.variables(group, {key.strip(): _literal(value.strip())})
        elif kind is None:
            host, *words = shlex.split(stripped, comments=True)
            pairs = [word.partition("=") for word in words]
            inventory.host(host, {key: _literal(value) for key, _, value in pairs}, group)


def _literal(text: str) -> Any:
    """Return a value as Ansible reads it in INI: a Python literal or a text."""
    try:
        value = ast.literal_eval(text)
        json.dumps(value)
    except (ValueError, SyntaxError, TypeError):
        return text
    return value
