"""Keeps fragments together that a merge script joins: who includes what, under which parameters."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import PurePath

from factstore.migrate.block_style import BlockStyle
from factstore.migrate.edits import Edit, Lines, apply
from factstore.migrate.flow_style import FlowStyle
from factstore.migrate.functions import Functions
from factstore.migrate.launch_configurations import LAUNCH_CONFIGURATION, launched
from factstore.migrate.nodes import Mapping as MappingNode
from factstore.migrate.nodes import plain
from factstore.migrate.plan import Finding
from factstore.migrate.read_paths import ACCESS_KEYS, POLICIES, USERS
from factstore.migrate.rewrite import Result, rewrite
from factstore.migrate.template import FILE_INCLUDE, Resource, Template, referred, role_of


@dataclass(frozen=True)
class Include:
    """A resource that a fragment takes from another file.

    :ivar file: the other file, as one of the given names.
    :ivar source: the name of the resource there.
    """

    resource: Resource
    file: str
    source: str


def rewrite_all(
    texts: Mapping[str, str], read_file: Callable[[str, str], str | None] | None = None
) -> dict[str, Result]:
    """Return the rewritten templates of several files, which may be fragments of one template.

    :param texts: the texts by the names of the files.
    :param read_file: returns the text of a file that a template names, by the names of both; None if it
        cannot.
    :raises NotATemplate: a text is not a template or a fragment of one.
    """
    templates = {name: Template(text.removeprefix("\ufeff")) for name, text in texts.items()}
    launches = {each for template in templates.values() for each in launched(template)}
    includes = {
        name: list(_includes(template, name, texts)) for name, template in templates.items()
    }
    given: dict[str, dict[str, bool]] = {name: {} for name in texts}
    for name, found in includes.items():
        for include in found:
            for parameter, refers in _parameters(templates[name], include.resource):
                known = given[include.file]
                known[parameter] = known.get(parameter, False) or refers
    needed = {
        name: {
            each
            for other, template in templates.items()
            if other != name and template.fragment_reason() is not None
            for each in referred(template.root)
        }
        for name in texts
    }
    results = {
        name: rewrite(
            text,
            launched=launches,
            given=given[name],
            needed=needed[name],
            shared=_shared(name, templates),
            read_file=None if read_file is None else partial(read_file, name),
        )
        for name, text in texts.items()
    }
    for name in texts:
        if includes[name]:
            results[name] = _follow(templates[name], results[name], includes[name], results)
    return results


def _shared(name: str, templates: Mapping[str, Template]) -> dict[str, str]:
    """Return the launch configurations whose data bag another fragment has, and names for the others.

    A merge script joins launch configurations of one name or one role. A whole template has the data
    bag, or else the first fragment in which the launch configuration has properties, or else the first.
    """
    own = templates[name]
    if own.fragment_reason() is None:
        return {}
    words = re.split(r"[^A-Za-z0-9]+", PurePath(name).stem.removesuffix("-source"))
    ending = "".join(word[:1].upper() + word[1:] for word in words)
    found: dict[str, str] = {}
    for each in {*own.resources, *filter(None, map(role_of, own.resources.values()))}:
        owners = [other for other, template in templates.items() if _keeps(template, each)]
        owners.sort(key=lambda other: _rank(templates[other], each))
        if owners and owners[0] != name:
            found[each] = each + ending
    return found


def _keeps(template: Template, name: str) -> bool:
    return name in template.resources and template.resources[name].kind == LAUNCH_CONFIGURATION


def _rank(template: Template, name: str) -> int:
    if template.fragment_reason() is None:
        return 0
    return 1 if template.resources[name].properties else 2


def _includes(template: Template, name: str, texts: Mapping[str, str]) -> Iterator[Include]:
    for resource in template.resources.values():
        if resource.kind != FILE_INCLUDE:
            continue
        path, key = resource.body.get("Path"), resource.body.get("SubKey")
        if path is None or key is None:
            continue
        section, _, source = str(plain(key)).partition(".")
        file = _file(str(plain(path)), name, texts)
        if file is not None and section.lower() == "resources" and source:
            yield Include(resource, file, source)


def _file(path: str, name: str, texts: Mapping[str, str]) -> str | None:
    """Return the given file that a path means: paths start in the merge script's own directory."""
    wanted = PurePath(path)
    candidates = [each for each in texts if each != name and PurePath(each).name == wanted.name]
    exact = [each for each in candidates if str(each).endswith(str(wanted))]
    return next(iter(exact or candidates), None)


def _parameters(template: Template, resource: Resource) -> Iterator[tuple[str, bool]]:
    """Yield the parameters of an included file and whether their values refer to resources."""
    for word in ("Parameters", "parameters"):
        found = resource.body.get(word)
        if isinstance(found, MappingNode):
            for entry in found.entries:
                names = set(referred(entry.value)) - template.parameters
                yield str(entry.key.value), any("::" not in each for each in names)


def _follow(
    template: Template, result: Result, includes: list[Include], results: Mapping[str, Result]
) -> Result:
    """Return the result of a fragment that also includes the new resources of other files."""
    after = Template(result.text)
    lines = Lines(after.text, after.root)
    functions = Functions(after)
    block, flow = BlockStyle(after, lines, functions), FlowStyle(after, lines, functions)
    edits: list[Edit] = []
    findings = list(result.findings)
    gone: list[Resource] = []
    for include in includes:
        other = results[include.file].plan
        resource = after.resources[include.resource.name]
        if include.source in other.removed:
            gone.append(resource)
            continue
        bag = other.bags.get(include.source)
        if bag is None:
            continue
        line = include.resource.entry.key.line + 1
        new = [name for name in (bag.facts_name, bag.grant_name) if name is not None]
        if include.resource.name != include.source:
            findings.append(
                Finding(
                    line,
                    f"{include.resource.name} includes {include.source} of {include.file} under "
                    f"another name: include {', '.join(new)}, too, and correct their references",
                )
            )
        elif lines.is_block(resource.entry):
            texts = [_copy(after, lines, resource, include.source, name) for name in new]
            if texts:
                edits.append(block.insert_after(resource.entry, texts))
        elif new:
            findings.append(
                Finding(line, f"{', '.join(new)} of {include.file} must be included, too")
            )
    gone += _unused(after, gone, includes, results)
    if after.section.flow:
        edits += flow.members(after.section, [each.entry for each in gone])
    else:
        edits += [block.remove_resource(each.entry) for each in gone]
    if not edits and len(findings) == len(result.findings):
        return result
    return Result(
        apply(after.text, edits),
        tuple(sorted(findings, key=lambda each: each.line)),
        result.fragment,
        result.bags,
        result.plan,
    )


def _copy(template: Template, lines: Lines, resource: Resource, source: str, name: str) -> str:
    """Return the lines of an inclusion for another resource of the same file."""
    region = lines.region(resource.entry)
    start, end = lines.start(region.first), lines.start(region.last)
    key = resource.body.entry("SubKey")
    if key is None:
        return ""
    head = template.text[start : resource.entry.key.start] + name
    middle = template.text[resource.entry.key.end : key.value.start]
    text = template.text[key.value.start : key.value.end]
    at = text.rfind(source)
    changed = text[:at] + name + text[at + len(source) :]
    tail = template.text[key.value.end : end]
    return head + middle + changed + (tail if tail.endswith("\n") else tail + template.newline)


def _unused(
    template: Template,
    gone: list[Resource],
    includes: list[Include],
    results: Mapping[str, Result],
) -> list[Resource]:
    """Return the users and policies that only the removed resources of other files used."""
    if not gone:
        return []
    names = {each.name for each in gone}
    bodies = [each.body for each in gone]
    candidates = set()
    for include in includes:
        for removed in results[include.file].plan.removed_bodies:
            candidates |= set(referred(removed))
    found: list[Resource] = []
    for kinds in (ACCESS_KEYS, USERS, POLICIES):
        for resource in template.resources.values():
            if resource.name not in candidates or resource.kind not in kinds:
                continue
            if resource.name in names:
                continue
            others = [Template(each.text).section for each in results.values()]
            used = any(
                resource.name in referred(section, without=[*bodies, resource.body])
                for section in [template.section]
            ) or any(
                resource.name in referred(section)
                for section, result in zip(others, results.values(), strict=True)
                if result.text != template.text
            )
            if not used:
                found.append(resource)
                bodies.append(resource.body)
                candidates |= set(referred(resource.body))
    return found
