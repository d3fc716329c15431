"""Tells launch configurations that keep facts from those that launch servers."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import Enum

from factstore.migrate.nodes import Mapping, Node, Scalar, Sequence, plain, target
from factstore.migrate.template import FILE_INCLUDE, Resource, Template, referred

LAUNCH_CONFIGURATION = "AWS::AutoScaling::LaunchConfiguration"

_GROUP_PROPERTIES = {"LaunchConfigurationName", "LaunchConfiguration", "launch_configuration"}
_PLACEHOLDERS = {"", "0", "none", "unused", "dummy", "fake", "placeholder", "foo", "null"}


class Use(Enum):
    """The purpose of a launch configuration."""

    LAUNCHES = "launches"
    KEEPS_FACTS = "keeps facts"
    UNCLEAR = "unclear"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Judgement:
    """The use of a launch configuration.

    :ivar reason: why it is unclear.
    """

    resource: Resource
    use: Use
    reason: str = ""


def launched(template: Template) -> set[str]:
    """Return the names of the launch configurations that groups of this template launch."""
    return {name for node in _launching(template.root) for name in _names(node)}


def judge(template: Template, elsewhere: Collection[str] = ()) -> list[Judgement]:
    """Return the use of each launch configuration.

    :param elsewhere: names that groups of other fragments launch.
    """
    names = launched(template) | set(elsewhere)
    fragment = template.fragment_reason() is not None
    return [
        _judge(template, resource, resource.name in names, fragment)
        for resource in template.resources.values()
        if resource.kind == LAUNCH_CONFIGURATION
    ]


def _judge(template: Template, resource: Resource, launches: bool, fragment: bool) -> Judgement:
    if launches:
        return Judgement(resource, Use.LAUNCHES)
    metadata = resource.metadata
    if metadata is None or plain(metadata) in ({}, None):
        return Judgement(resource, Use.NOTHING)
    if resource.given("UserData") is not None:
        return Judgement(
            resource,
            Use.UNCLEAR,
            "no group launches it, but it has UserData, which would be lost",
        )
    image = resource.given("ImageId")
    if image is None or _is_placeholder(image):
        return Judgement(resource, Use.KEEPS_FACTS)
    if fragment:
        return Judgement(
            resource,
            Use.UNCLEAR,
            "it has an ImageId, and a group in another file may launch it",
        )
    if _is_referred(template, resource.name):
        return Judgement(
            resource,
            Use.UNCLEAR,
            "it has an ImageId and is referred to, so something outside this template may launch it",
        )
    similar = {each.lower() for each in launched(template)}
    if resource.name.lower() in similar:
        return Judgement(
            resource, Use.UNCLEAR, "a group launches one whose name differs only in capitals"
        )
    return Judgement(resource, Use.KEEPS_FACTS)


def _is_placeholder(image: Node) -> bool:
    value = plain(image)
    return not isinstance(value, dict | list) and str(value or "").strip().lower() in _PLACEHOLDERS


def _launching(node: Node) -> Iterator[Node]:
    """Yield the values that name what a group launches."""
    for each in node.walk():
        if isinstance(each, Mapping):
            for entry in each.entries:
                if entry.key.value in _GROUP_PROPERTIES:
                    yield target(entry.value)


def _names(node: Node) -> Iterator[str]:
    """Yield the names in a value, as references and as plain texts."""
    yield from referred(node)
    for each in node.walk():
        if isinstance(each, Scalar) and isinstance(each.value, str):
            yield each.value


def _is_referred(template: Template, name: str) -> bool:
    """Return whether anything but user data refers to a resource."""
    return any(
        name in referred(each)
        for each in _outside_user_data(template.root)
        if not isinstance(each, Sequence)
    )


def _outside_user_data(root: Mapping) -> Iterator[Node]:
    for entry in root.entries:
        value = target(entry.value)
        if not isinstance(value, Mapping):
            continue
        for resource in value.entries:
            body = target(resource.value)
            if not isinstance(body, Mapping):
                continue
            for part in body.entries:
                inner = target(part.value)
                if isinstance(inner, Mapping) and not inner.tag:
                    yield from (
                        target(each.value)
                        for each in inner.entries
                        if each.key.value not in ("UserData", "user_data", "os-collect-config")
                    )
                else:
                    yield inner


def is_known(resource: Resource) -> bool:
    """Return whether the template contains the resource itself."""
    return resource.kind != FILE_INCLUDE
