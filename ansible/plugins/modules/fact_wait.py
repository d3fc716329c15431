#!/usr/bin/python
"""Wait for facts, a waiter or convergence."""

from __future__ import annotations

DOCUMENTATION = """
module: fact_wait
short_description: Wait for a fact, a condition, a waiter, or convergence
description:
  - Waits in the service, without polling, and fails if time runs out.
  - The task changes no facts. For O(success), it arms a waiter, which creates a missing stack, and
    deletes the waiter afterwards.
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
    description: Wait until the fact at this path exists, and return it.
    type: str
  success:
    description:
      - Wait until this condition is true.
      - "For example C({facts: nodes/*/services/slurmd, equals: started, count: 3})."
    type: dict
  failure:
    description: With O(success), fail as soon as this condition is true.
    type: dict
  waiter:
    description: Wait until this waiter of the stack ends.
    type: str
  converged:
    description: Wait until all members have applied the newest change.
    type: bool
    default: false
  group:
    description: With O(converged), wait only for members of this group.
    type: str
  timeout:
    description: Seconds to wait.
    type: int
    default: 600
"""

EXAMPLES = """
- name: Wait for the address of the head node
  factstore.stack.fact_wait:
    stack: slurm
    path: nodes/head/ip
  register: head

- name: Wait for three nodes
  factstore.stack.fact_wait:
    stack: slurm
    success: {facts: nodes/*/services/slurmd, equals: started, count: 3}
    failure: {facts: nodes/*/services/slurmd, equals: failed}
    timeout: 900
"""

RETURN = """
fact:
  description: The fact.
  type: dict
  returned: with O(path)
waiter:
  description: The waiter at its end.
  type: dict
  returned: with O(success) and O(waiter)
  sample: {state: met, satisfied: 3, needed: 3, missing: [], failing: []}
convergence:
  description: The members, and what they have applied.
  type: dict
  returned: with O(converged)
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.factstore.stack.plugins.module_utils.client import (
    CONNECTION,
    RULES,
    fields_of,
    run,
)


def wait(module, stack):
    """Wait, and return the result of the module."""
    wanted = module.params
    timeout = wanted["timeout"]
    if wanted["path"]:
        return {
            "changed": False,
            "fact": fields_of(stack.wait(wanted["path"], timeout), "unchanged"),
        }
    if wanted["converged"]:
        found = stack.wait_converged(timeout, group=wanted["group"])
        result = {"changed": False, "convergence": fields_of(found, "etag")}
        if not found.converged:
            lagging = ", ".join(found.lagging)
            reason = f"lagging: {lagging}" if lagging else "it has no members to wait for"
            module.fail_json(msg=f"The stack did not converge; {reason}", **result)
        return result
    if wanted["success"]:
        ended = stack.wait_condition(wanted["success"], timeout, failure=wanted["failure"])
    else:
        ended = stack.waiter(wanted["waiter"]).wait(timeout)
    result = {"changed": False, "waiter": fields_of(ended, "etag", "signals")}
    if ended.state != "met":
        missing = ", ".join(ended.missing) or "nothing"
        reason = ended.reason or f"it is still pending; missing: {missing}"
        module.fail_json(msg=f"The condition was not met: {reason}", **result)
    return result


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **CONNECTION,
            "stack": {"type": "str", "required": True},
            "path": {"type": "str"},
            "success": {"type": "dict"},
            "failure": {"type": "dict"},
            "waiter": {"type": "str"},
            "converged": {"type": "bool", "default": False},
            "group": {"type": "str"},
            "timeout": {"type": "int", "default": 600},
        },
        supports_check_mode=True,
        **{
            **RULES,
            "mutually_exclusive": [*RULES["mutually_exclusive"], ("path", "success", "waiter")],
            "required_by": {**RULES["required_by"], "failure": ("success",)},
        },
    )
    named = [name for name in ("path", "success", "waiter", "converged") if module.params[name]]
    if len(named) != 1:
        module.fail_json(msg="Set one of path, success, waiter and converged.")
    run(module, wait)


if __name__ == "__main__":
    main()
