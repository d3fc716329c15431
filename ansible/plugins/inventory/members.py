"""The members of a stack as hosts."""

from __future__ import annotations

DOCUMENTATION = """
name: members
short_description: The members of a stack as hosts
description:
  - Each member is a host in the group of its name, and so is each node with the fact of an address.
  - A host has the variables C(ansible_host) and C(factstore), and all hosts have C(factstore_stack).
    Ansible does not evaluate templates in them.
author:
  - the factstore contributors (@factstore)
extends_documentation_fragment:
  - factstore.stack.connection
  - constructed
  - inventory_cache
options:
  plugin:
    description: C(factstore.stack.members)
    type: str
    required: true
    choices: [factstore.stack.members]
  stack:
    description: The name of the stack.
    type: str
    required: true
  address:
    description: The path below C(nodes/NAME/) of the fact with the address to log in to.
    type: str
    default: ip
"""

EXAMPLES = """
# factstore.yml
plugin: factstore.stack.members
url: http://127.0.0.1:8796
stack: slurm
address: net/mgmt
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.cache/factstore
keyed_groups:
  - key: factstore.attributes.rack
    prefix: rack
"""

from ansible.errors import AnsibleParserError
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.factstore.stack.plugins.module_utils.client import (
    CONNECTION,
    FactstoreError,
    open_stack,
)

from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """The inventory."""

    NAME = "factstore.stack.members"

    def verify_file(self, path):
        """Return True if the file can be a configuration of this plugin."""
        return super().verify_file(path) and path.endswith(("factstore.yml", "factstore.yaml"))

    def parse(self, inventory, loader, path, cache=True):
        """Add the hosts and groups of the stack to the inventory."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        self.load_cache_plugin()
        try:
            self._add(self._document(path, cache))
        except (ImportError, ValueError) as error:
            raise AnsibleParserError(str(error)) from error

    def _document(self, path, cache):
        """Return the context, from the cache if it has one."""
        key = self.get_cache_key(path)
        uses_cache = self.get_option("cache")
        if uses_cache and cache and key in self._cache:
            return self._cache[key]
        document = self._read()
        if uses_cache:
            self._cache[key] = document
        return document

    def _read(self):
        options = {name: self.get_option(name) for name in CONNECTION}
        stack = open_stack(self.get_option("stack"), **options)
        try:
            return stack.context().document
        except FactstoreError as error:
            raise AnsibleParserError(str(error)) from error

    def _add(self, document):
        from factstore.client.render.ansible import everybody

        def omit(name, reason):
            self.display.warning(f"{name} is left out: it {reason}.")

        found = everybody(document, omit, self.get_option("address"))
        for name, value in found["vars"].items():
            self.inventory.set_variable("all", name, _plain(value))
        for host in found["hosts"]:
            self.inventory.add_host(host)
        for group, about in found["children"].items():
            self.inventory.add_group(group)
            for host in about["hosts"]:
                self.inventory.add_host(host, group=group)
        strict = self.get_option("strict")
        for host, variables in found["hosts"].items():
            values = {name: _plain(value) for name, value in variables.items()}
            for name, value in values.items():
                self.inventory.set_variable(host, name, value)
            self._set_composite_vars(self.get_option("compose"), values, host, strict=strict)
            self._add_host_to_composed_groups(
                self.get_option("groups"), values, host, strict=strict
            )
            self._add_host_to_keyed_groups(
                self.get_option("keyed_groups"), values, host, strict=strict
            )


def _plain(value):
    """Return a value that Ansible never treats as a template; the renderer tags those with facts."""
    return wrap_var(value.value) if hasattr(value, "tag") else value
