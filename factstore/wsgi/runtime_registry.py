"""Which machinery runs in this process.

The healthcheck plugin is made by stevedore, which passes nothing on; this is where it finds the node.
"""

from __future__ import annotations

from factstore.wsgi.runtime import Node

_node: Node | None = None


def set_node(node: Node | None) -> None:
    """Note the node that runs."""
    global _node
    _node = node


def node() -> Node | None:
    """The node that runs, if one does."""
    return _node
