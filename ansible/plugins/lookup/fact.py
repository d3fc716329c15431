"""Read facts of a stack."""

from __future__ import annotations

DOCUMENTATION = """
name: fact
short_description: Read facts of a stack
description:
  - Returns the values of facts. Ansible does not evaluate templates in them.
author:
  - the factstore contributors (@factstore)
extends_documentation_fragment:
  - factstore.stack.connection
options:
  _terms:
    description: The paths of the facts.
    required: true
  stack:
    description: The name of the stack.
    type: str
    required: true
  wait:
    description: Seconds to wait until each fact exists.
    type: int
    default: 0
"""

EXAMPLES = """
- name: Show an address, as soon as it is known
  ansible.builtin.debug:
    msg: "{{ lookup('factstore.stack.fact', 'nodes/head/ip', stack='slurm', wait=60) }}"
"""

RETURN = """
_list:
  description: The values of the facts.
  type: list
  elements: raw
"""

from ansible.errors import AnsibleError
from ansible_collections.factstore.stack.plugins.module_utils.client import (
    CONNECTION,
    FactstoreError,
    open_stack,
)

from ansible.plugins.lookup import LookupBase


class LookupModule(LookupBase):
    """The lookup."""

    def run(self, terms, variables=None, **kwargs):
        """Return the values of the facts at these paths."""
        self.set_options(var_options=variables, direct=kwargs)
        try:
            options = {name: self.get_option(name) for name in CONNECTION}
            stack = open_stack(self.get_option("stack"), **options)
        except (ImportError, ValueError) as error:
            raise AnsibleError(str(error)) from error
        wait = self.get_option("wait")
        try:
            return [(stack.wait(path, wait) if wait else stack.get(path)).value for path in terms]
        except FactstoreError as error:
            raise AnsibleError(str(error)) from error
