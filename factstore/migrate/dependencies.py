"""The order in which Heat creates resources."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from factstore.migrate.nodes import Node, plain
from factstore.migrate.template import Template, referred

Graph = dict[str, set[str]]


def dependencies(template: Template, without: Iterable[Node] = ()) -> Graph:
    """Return the resources on which each resource depends.

    :param without: parts of the template that do not count.
    """
    hidden = tuple(without)
    names = template.resources.keys()
    return {
        name: {
            each
            for each in (*referred(resource.body, without=hidden), *resource.depends_on)
            if each in names
        }
        for name, resource in template.resources.items()
    }


def reaching(graph: Mapping[str, set[str]], goal: str) -> set[str]:
    """Return the resources that depend on *goal*, directly or not, and *goal* itself."""
    users: dict[str, set[str]] = {}
    for name, needed in graph.items():
        for each in needed:
            users.setdefault(each, set()).add(name)
    found, new = {goal}, [goal]
    while new:
        for name in users.get(new.pop(), ()):
            if name not in found:
                found.add(name)
                new.append(name)
    return found


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """Return resources that depend on each other; empty if there are none."""
    state: dict[str, int] = {}
    for root in graph:
        if root in state:
            continue
        path = [root]
        state[root] = 1
        stack = [iter(sorted(graph[root]))]
        while stack:
            name = next(stack[-1], None)
            if name is None:
                state[path.pop()] = 2
                stack.pop()
            elif state.get(name) == 1:
                return path[path.index(name) :]
            elif name not in state and name in graph:
                state[name] = 1
                path.append(name)
                stack.append(iter(sorted(graph[name])))
    return []


def texts(node: Node) -> Iterable[str]:
    """Yield all strings in a value."""
    value = plain(node)
    new = [value]
    while new:
        each = new.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, dict):
            new += [*each.keys(), *each.values()]
        elif isinstance(each, list):
            new += each
