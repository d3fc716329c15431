"""Plans the rewriting of a template, without touching the text."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping as MappingType
from dataclasses import replace

from factstore.migrate.dependencies import Graph, dependencies, reaching, texts
from factstore.migrate.edits import NotRewritable
from factstore.migrate.evaluate import hidden_parameters
from factstore.migrate.facts import split
from factstore.migrate.launch_configurations import Use, judge
from factstore.migrate.nodes import Entry, Mapping, Node, target
from factstore.migrate.plan import Bag, Finding, Plan
from factstore.migrate.read_paths import (
    ACCESS_KEYS,
    POLICIES,
    USERS,
    ReadPath,
    mentions,
    read_paths,
)
from factstore.migrate.scripts import find_commands
from factstore.migrate.template import (
    FILE_INCLUDE,
    Resource,
    Template,
    awaited,
    is_function,
    referred,
    role_of,
)


def make_plan(
    template: Template,
    *,
    launched: Collection[str] = (),
    given: MappingType[str, bool] | None = None,
    needed: Collection[str] = (),
    shared: MappingType[str, str] | None = None,
    skip: Collection[str] = (),
) -> Plan:
    """Return what to rewrite in a template.

    :param launched: names of launch configurations that groups in other fragments launch.
    :param given: parameters to which other fragments give values, and whether these refer to resources.
    :param needed: names to which other fragments refer.
    :param shared: launch configurations whose data bag another fragment has, and other names for them.
    :param skip: launch configurations to leave alone, as rewriting them failed.
    """
    plan = Plan(fragment=template.fragment_reason())
    kept: list[Resource] = []
    for judgement in judge(template, launched):
        resource = judgement.resource
        if judgement.use is Use.UNCLEAR:
            plan.findings.append(_left(resource, judgement.reason))
        elif judgement.use is Use.KEEPS_FACTS and resource.name not in skip:
            kept.append(resource)
    names = {resource.name for resource in kept}
    paths = read_paths(template, names)
    inside = {name: _inside(template.resources[name], paths) for name in names}
    graph = plan.graph = _graph(template, paths, names)
    for resource in kept:
        try:
            plan.bags[resource.name] = _bag(template, plan, resource, graph, inside, given or {})
        except NotRewritable as error:
            plan.findings.append(Finding(error.line, f"{resource.name} is not rewritten: {error}"))
    plan.commands = find_commands(template, plan.bags)
    _choose_names(template, plan, paths, shared or {})
    plan.reads = [path for path in paths if _is_replaced(path, plan)]
    _remove_keys(template, plan, needed)
    return plan


def _left(resource: Resource, reason: str) -> Finding:
    return Finding(resource.entry.key.line + 1, f"{resource.name} is not rewritten: {reason}")


def _inside(resource: Resource, paths: list[ReadPath]) -> list[Entry]:
    """Return the read paths in a launch configuration's own metadata that read nothing else."""
    return [path.entry for path in paths if path.owner == resource.name and not path.more]


def _graph(template: Template, paths: list[ReadPath], names: Collection[str]) -> Graph:
    """Return the dependencies after the rewriting, as if no fact were written late."""
    graph = dependencies(template, without=[path.entry.value for path in paths])
    for path in paths:
        if path.owner not in names:
            graph[path.owner] |= set(path.names)
    for name, resource in template.resources.items():
        if name not in names and resource.kind not in POLICIES:
            # A script that reads the metadata will depend on the bag when it is rewritten by hand.
            words = list(texts(resource.body))
            graph[name] |= {each for each in names if any(mentions(text, each) for text in words)}
    return graph


def _bag(
    template: Template,
    plan: Plan,
    resource: Resource,
    graph: Graph,
    inside: MappingType[str, list[Entry]],
    given: MappingType[str, bool],
) -> Bag:
    metadata = resource.metadata
    if metadata is None:
        raise NotRewritable("it has no metadata", resource.entry.key.line + 1)
    if target(resource.entry.value) is not resource.entry.value:
        raise NotRewritable("it is a YAML alias", resource.entry.key.line + 1)
    unsafe = reaching(graph, resource.name)
    hidden = [entry.value for entry in inside[resource.name]]

    def is_late(value: Node) -> bool:
        names = list(referred(value, without=hidden))
        return any(name in unsafe or given.get(name, False) for name in names) or any(
            _is_unknown(template, plan, name) for name in awaited(value) if name in names
        )

    value = target(metadata)
    if not isinstance(value, Mapping) or is_function(value):
        if not isinstance(value, Mapping) or is_late(value):
            raise NotRewritable("its metadata are not a mapping of facts", metadata.line + 1)
        items = None
    elif metadata is not value:
        raise NotRewritable("its metadata are a YAML alias", metadata.line + 1)
    else:
        items = split(value, is_late, inside[resource.name])
        entry = resource.body.entry(template.words.metadata)
        if resource.body.flow and items and entry is not None:
            # In block style, the comments in the braces of the metadata are kept with their first line.
            items[0] = replace(items[0], opened=(entry, *items[0].opened))
        for item in items:
            if item.value is None:
                plan.findings.append(
                    Finding(
                        item.entry.key.line + 1,
                        f"{'/'.join(item.path)} is null: Heat does not write a fact without a value",
                        is_left=False,
                    )
                )
    concealed = hidden_parameters(template)
    for part in (value,) if items is None else (item.entry.value for item in items):
        for name in dict.fromkeys(referred(part)):
            if name in concealed:
                plan.findings.append(
                    Finding(
                        part.line + 1,
                        f"{resource.name} contains the hidden parameter {name}, which readers of the "
                        "data bag can read: to have it encrypted, write it with an "
                        "OS::FactStore::Fact that is sensitive",
                        is_left=False,
                    )
                )
    late = any(name in unsafe for name in resource.depends_on)
    return Bag(resource, metadata, items, inside[resource.name], late)


def _is_unknown(template: Template, plan: Plan, name: str) -> bool:
    """Return whether a name in a fragment may be that of a server which reads the bag."""
    if plan.fragment is None or "::" in name or name in template.parameters:
        return False
    resource = template.resources.get(name)
    return resource is None or resource.kind == FILE_INCLUDE


def _choose_names(
    template: Template, plan: Plan, paths: list[ReadPath], shared: MappingType[str, str]
) -> None:
    """Name the new resources, and find the bag of those that a merge script would join."""
    taken = set(template.resources) | template.parameters
    hosts: dict[str, str] = {}
    for bag in plan.bags.values():
        role = role_of(bag.resource)
        if bag.name in shared:
            bag.host, bag.new_name = bag.name, shared[bag.name]
        elif role in shared and role != bag.name:
            bag.host = role
        elif role is not None and role != bag.name:
            if role in plan.bags and plan.bags[role].host is None:
                bag.host = role
            elif role in hosts:
                bag.host = hosts[role]
            else:
                hosts[role] = bag.name
        if bag.host is not None:
            reason = "" if bag.new_name else f" has the role {role}:"
            plan.findings.append(
                Finding(
                    bag.resource.entry.key.line + 1,
                    f"{bag.title}{reason} writes its facts into the data bag {bag.host}",
                    is_left=False,
                )
            )
        if bag.late and (bag.host is None or bag.early):
            bag.facts_name = _free(template, bag.title, "Facts", taken)
        read = any(
            bag.name in path.names and path.owner != bag.name and _is_single(path) for path in paths
        ) or any(command.name == bag.name for command in plan.commands)
        if read:
            bag.grant_name = _free(template, bag.title, "Grant", taken)


def _free(template: Template, name: str, word: str, taken: set[str]) -> str:
    """Return an unused name for a resource beside another one, in the style of its name."""
    if template.words.is_hot and (name.islower() or "_" in name):
        base = f"{name}_{word.lower()}"
    else:
        base = f"{name}{word}"
    found, number = base, 2
    while found in taken:
        found, number = f"{base}{number}", number + 1
    taken.add(found)
    return found


def _is_single(path: ReadPath) -> bool:
    return not path.more and len(path.names) == 1


def _is_replaced(path: ReadPath, plan: Plan) -> bool:
    """Return whether a read path outside the bags becomes a grant, or else state why not."""
    if path.owner in plan.bags:
        return False
    known = [name for name in path.names if name in plan.bags]
    if not known:
        return False
    if _is_single(path):
        return True
    reason = (
        "reads several resources or a part of one, and a data bag is read as a whole"
        if len(path.names) > 1 or path.more
        else "cannot be replaced"
    )
    plan.left_reads.append(path)
    plan.findings.append(
        Finding(path.entry.key.line + 1, f"os-collect-config of {path.owner} {reason}")
    )
    return False


def _remove_keys(template: Template, plan: Plan, needed: Collection[str]) -> None:
    """Find the keys, users and policies that only the read paths used."""
    hidden: list[Node] = [path.entry.value for path in plan.reads]
    hidden += [node for command in plan.commands for node in command.hidden]
    hidden += [entry.value for bag in plan.bags.values() for entry in bag.dropped]
    for kinds in (ACCESS_KEYS, USERS, POLICIES):
        for name, resource in template.resources.items():
            if resource.kind not in kinds or name in needed:
                continue
            before = _uses(template, name, ())
            if before and not _uses(template, name, hidden):
                plan.removed.append(name)
                plan.removed_bodies.append(resource.body)
                hidden.append(resource.body)


def _uses(template: Template, name: str, hidden: Collection[Node]) -> int:
    own = template.resources[name].body
    count = sum(each == name for each in referred(template.root, without=[*hidden, own]))
    gone = {id(node) for node in hidden}
    return count + sum(
        name in resource.depends_on
        for resource in template.resources.values()
        if id(resource.body) not in gone
    )
