"""The addresses of a stack's nodes: the facts ``ip`` in the folders below ``nodes/``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from factstore.core.errors import NotFound
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Fact, Scope
from factstore.core.model.member import Member
from factstore.core.model.path import check_stack_name, quoted
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.services.base import Service
from factstore.core.services.context_document import NODES

_ADDRESS = "ip"


@quick_dataclass(frozen=True, slots=True)
class Nodes:
    """The nodes and members of a stack.

    :param addresses: the value of the fact ``ip`` by the name of the node, which can be any JSON value;
        None if it is sensitive.
    :param members: the living members by name, of which some may have no address.
    :param cursor: the revision of both.
    """

    addresses: dict[str, Any]
    members: dict[str, Member]
    cursor: Cursor


class NodeService(Service):
    """The service for nodes."""

    def get(self, scope: Scope, *, stale: bool = False) -> Nodes:
        """Return the nodes of a stack.

        :raises NotFound: the stack does not exist.
        """
        check_stack_name(scope.stack)
        state = self._state(stale=stale)
        contents = state.contents(scope, NODES)
        if contents is None:
            raise NotFound(f"There is no stack named {quoted(scope.stack)}.")
        members = {member.name: member for member in contents.members}
        cursor = Cursor(state.epoch, contents.revision)
        return Nodes(_addresses(contents.facts), members, cursor)


def _addresses(facts: Iterable[Fact]) -> dict[str, Any]:
    """Return the addresses by the name of the node.

    The folder, or what is in it, may be a fact whose value is an object.
    """
    found: dict[str, Any] = {}
    for fact in facts:
        match fact.path.split("/"):
            case [_, name, last] if last == _ADDRESS:
                found[name] = json.loads(fact.text)
            case [_, name]:
                _add(found, name, json.loads(fact.text))
            case [_]:
                value = json.loads(fact.text)
                for name, about in value.items() if isinstance(value, dict) else ():
                    _add(found, name, about)
    return found


def _add(found: dict[str, Any], name: str, about: Any) -> None:
    if isinstance(about, dict) and _ADDRESS in about:
        found[name] = about[_ADDRESS]
