#!/usr/bin/python
"""Set or delete a fact."""

from __future__ import annotations

DOCUMENTATION = """
module: fact
short_description: Set or delete a fact of a stack
description:
  - Sets a fact, and reports a change only if the fact was different, or deletes it.
  - The first fact of a stack creates the stack.
author:
  - the factstore contributors (@factstore)
extends_documentation_fragment:
  - factstore.stack.connection
options:
  stack:
    description: The name of the stack.
    type: str
    required: true
  path:
    description: The path of the fact, such as C(nodes/head/ip).
    type: str
    required: true
  value:
    description: The value, which can be any JSON value. Required if O(state=present).
    type: raw
  state:
    description: Whether the fact exists.
    type: str
    choices: [present, absent]
    default: present
  recursive:
    description: With O(state=absent), also delete all facts below O(path).
    type: bool
    default: false
  kind:
    description: The kind of the fact.
    type: str
    choices: [observed, parameter]
    default: observed
  ttl:
    description: Seconds after which the fact expires.
    type: int
  member:
    description: The member with which the fact is deleted.
    type: str
  sensitive:
    description: Seal the value, and show it only to permitted callers.
    type: bool
    default: false
  readers:
    description: Also show a sensitive value to these, each C(group/NAME) or C(member/NAME).
    type: list
    elements: str
    default: []
"""

EXAMPLES = """
- name: Publish the address of the head node
  factstore.stack.fact:
    url: http://127.0.0.1:8796
    stack: slurm
    path: nodes/head/ip
    value: "{{ ansible_default_ipv4.address }}"

- name: Delete everything about a node
  factstore.stack.fact:
    stack: slurm
    path: nodes/c7
    state: absent
    recursive: true
"""

RETURN = """
fact:
  description: The fact. The value of a sensitive fact is null.
  type: dict
  returned: if O(state=present), and not in check mode
  sample: {path: nodes/head/ip, value: 10.0.0.5, kind: observed, version: 1}
"""

import json

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.factstore.stack.plugins.module_utils.client import (
    CONNECTION,
    RULES,
    fields_of,
    run,
)


def put(module, stack):
    """Set the fact."""
    wanted = module.params
    if isinstance(wanted["value"], str) and wanted["sensitive"]:
        module.no_log_values.add(wanted["value"])
    if module.check_mode:
        return {"changed": is_different(stack, wanted)}
    fact = stack.put(
        wanted["path"],
        wanted["value"],
        kind=wanted["kind"],
        ttl=wanted["ttl"],
        member=wanted["member"],
        sensitive=wanted["sensitive"],
        readers=wanted["readers"],
    )
    found = fields_of(fact, "unchanged")
    if fact.sensitive:
        found["value"] = None
    return {"changed": not fact.unchanged, "fact": found}


def is_different(stack, wanted):
    """Return True if the stored fact differs from the wanted one."""
    from factstore.client import NotFound

    try:
        stored = stack.get(wanted["path"])
    except NotFound:
        return True
    names = ("kind", "ttl", "member", "sensitive")
    if as_json(stored.value) != as_json(wanted["value"]):
        return True
    readers = sorted(stored.readers) != sorted(wanted["readers"])
    return readers or any(getattr(stored, name) != wanted[name] for name in names)


def as_json(value):
    """Return a text that differs where the service sees a difference: 1, 1.0 and true differ."""
    return json.dumps(value, sort_keys=True)


def delete(module, stack):
    """Delete the fact, or the facts at and below the path."""
    from factstore.client import NotFound

    path = module.params["path"]
    try:
        if module.check_mode:
            pages = stack.list(path) if module.params["recursive"] else [stack.get(path)]
            return {"changed": any(getattr(page, "facts", True) for page in pages)}
        if module.params["recursive"]:
            stack.delete_folder(path)
        else:
            stack.delete(path)
    except NotFound:
        return {"changed": False}
    return {"changed": True}


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **CONNECTION,
            "stack": {"type": "str", "required": True},
            "path": {"type": "str", "required": True},
            "value": {"type": "raw"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "recursive": {"type": "bool", "default": False},
            "kind": {"type": "str", "choices": ["observed", "parameter"], "default": "observed"},
            "ttl": {"type": "int"},
            "member": {"type": "str"},
            "sensitive": {"type": "bool", "default": False},
            "readers": {"type": "list", "elements": "str", "default": []},
        },
        required_if=[("state", "present", ("value",))],
        supports_check_mode=True,
        **RULES,
    )
    run(module, put if module.params["state"] == "present" else delete)


if __name__ == "__main__":
    main()
