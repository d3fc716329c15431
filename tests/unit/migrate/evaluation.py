"""Reads templates as Heat does and evaluates their functions, with texts for attributes.

It shares no code with the program under test.
"""

from __future__ import annotations

import json
from typing import Any

import yaml

LAUNCH = "AWS::AutoScaling::LaunchConfiguration"
Document = dict[str, Any]


class _Loader(yaml.SafeLoader):
    """Leaves dates as strings, like Heat's parser."""


_Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: node.value)


def load(text: str) -> Document:
    """Return the template, with its sections in lower case."""
    try:
        found = json.loads(text)
    except ValueError:
        found = yaml.load(text, Loader=_Loader)
    return found


def resources(template: Document) -> dict[str, Document]:
    """Return the resources, with the words of HOT."""
    found = template.get("Resources") or template.get("resources") or {}
    words = {"Type": "type", "Properties": "properties", "Metadata": "metadata"}
    words["DependsOn"] = "depends_on"
    return {
        name: {words.get(key, key): value for key, value in body.items()}
        for name, body in found.items()
    }


def evaluate(value: Any) -> Any:
    """Return a value in which functions are replaced by what they would result in."""
    if isinstance(value, list):
        return [evaluate(each) for each in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        name, given = next(iter(value.items()))
        if name in ("Ref", "get_resource", "get_param"):
            return f"<{given}>"
        if name in ("Fn::GetAtt", "get_attr"):
            return f"<{'.'.join(map(str, given))}>"
        if name in ("Fn::Join", "list_join"):
            return str(given[0]).join(str(evaluate(each)) for each in evaluate(given[1]))
        if name == "str_replace":
            text = given["template"]
            for marker, each in given["params"].items():
                text = text.replace(marker, str(evaluate(each)))
            return text
        if name == "Fn::Select":
            return f"{evaluate(given[1])}[{given[0]}]"
    return {key: evaluate(each) for key, each in value.items()}


def metadata(template: Document) -> dict[str, Any]:
    """Return the evaluated metadata of each launch configuration, without how to read them."""
    return {
        name: evaluate(_without_read_path(each["metadata"]))
        for name, each in resources(template).items()
        if each["type"] == LAUNCH
    }


def _without_read_path(found: Document) -> Document:
    kept = dict(found)
    reader = {key: v for key, v in kept.pop("os-collect-config", {}).items() if key != "cfn"}
    return {**kept, "os-collect-config": reader} if reader else kept


def facts(template: Document) -> dict[str, Any]:
    """Return the evaluated facts of each data bag, nested by path."""
    found: dict[str, Any] = {}
    for name, each in resources(template).items():
        properties = each.get("properties") or {}
        if each["type"] == "OS::FactStore::DataBag":
            _nest(found.setdefault(name, {}), properties.get("parameters") or {})
        elif each["type"] == "OS::FactStore::Facts":
            (bag,) = properties["bag"].values()
            _nest(found.setdefault(bag, {}), properties["facts"])
    return found


def _nest(document: Document, values: Document) -> None:
    for path, value in values.items():
        *above, last = path.split("/")
        folder = document
        for segment in above:
            folder = folder.setdefault(segment, {})
        assert last not in folder, path
        folder[last] = evaluate(value)


def references(value: Any) -> set[str]:
    """Return the names that a value refers to."""
    if isinstance(value, list):
        return {name for each in value for name in references(each)}
    if not isinstance(value, dict):
        return set()
    found = {name for each in value.values() for name in references(each)}
    for function in ("Ref", "get_resource", "get_param"):
        if isinstance(value.get(function), str):
            found.add(value[function])
    for function in ("Fn::GetAtt", "get_attr"):
        if isinstance(value.get(function), list):
            found.add(value[function][0])
    return found


def dependencies(template: Document) -> dict[str, set[str]]:
    """Return the resources that each resource depends on, and what else it refers to."""
    found = {}
    for name, each in resources(template).items():
        order = each.get("depends_on") or []
        found[name] = references(each) | set(order if isinstance(order, list) else [order])
    return found


def dangling(template: Document) -> set[str]:
    """Return the names that are referred to but not defined."""
    known = set(resources(template))
    known |= set(template.get("Parameters") or template.get("parameters") or {})
    used = {name for each in dependencies(template).values() for name in each}
    used |= references(template.get("Outputs") or template.get("outputs"))
    return {name for name in used - known if "::" not in name}


def is_circular(template: Document) -> bool:
    """Return whether resources depend on each other."""
    graph = dependencies(template)
    while True:
        free = [name for name, needed in graph.items() if not needed & graph.keys()]
        if not free:
            return bool(graph)
        for name in free:
            del graph[name]
