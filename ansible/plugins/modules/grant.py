#!/usr/bin/python
"""Issue or revoke a grant."""

from __future__ import annotations

DOCUMENTATION = """
module: grant
short_description: Issue or revoke a grant of a stack
description:
  - Issues a grant each time it runs, because the token of a grant is shown only once, or revokes one.
  - The first grant of a stack creates the stack.
author:
  - the factstore contributors (@factstore)
extends_documentation_fragment:
  - factstore.stack.connection
options:
  stack:
    description: The name of the stack.
    type: str
    required: true
  state:
    description: Whether to issue a grant, or to revoke the grant O(id).
    type: str
    choices: [present, absent]
    default: present
  id:
    description: The id of the grant to revoke. Required if O(state=absent).
    type: str
  role:
    description: The role of the holder.
    type: str
    choices: [agent, reader]
    default: agent
  member:
    description: The member that the grant is for.
    type: str
  group:
    description: The only group that the member may join. Without O(member), the grant is the group's.
    type: str
  ttl:
    description: Seconds after which the grant expires.
    type: int
"""

EXAMPLES = """
- name: Issue a grant for a node
  factstore.stack.grant:
    stack: slurm
    member: c1
    group: compute
  register: issued
  no_log: true

- name: Revoke it
  factstore.stack.grant:
    stack: slurm
    state: absent
    id: "{{ issued.grant.id }}"
"""

RETURN = """
grant:
  description: The grant, with its token.
  type: dict
  returned: if O(state=present), and not in check mode
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.factstore.stack.plugins.module_utils.client import (
    CONNECTION,
    RULES,
    fields_of,
    run,
)


def issue(module, stack):
    """Issue a grant."""
    if module.check_mode:
        return {"changed": True}
    wanted = {name: module.params[name] for name in ("role", "member", "group", "ttl")}
    return {"changed": True, "grant": fields_of(stack.issue_grant(**wanted), "remaining")}


def revoke(module, stack):
    """Revoke a grant."""
    from factstore.client import NotFound

    grant = stack.grant(module.params["id"])
    try:
        grant.show()
    except NotFound:
        return {"changed": False}
    if not module.check_mode:
        grant.revoke()
    return {"changed": True}


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **CONNECTION,
            "stack": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "id": {"type": "str"},
            "role": {"type": "str", "choices": ["agent", "reader"], "default": "agent"},
            "member": {"type": "str"},
            "group": {"type": "str"},
            "ttl": {"type": "int"},
        },
        required_if=[("state", "absent", ("id",))],
        supports_check_mode=True,
        **RULES,
    )
    run(module, issue if module.params["state"] == "present" else revoke)


if __name__ == "__main__":
    main()
