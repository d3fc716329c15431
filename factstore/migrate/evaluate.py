"""Evaluates what a template knows before a stack exists: constants, parameters, and texts of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from factstore.migrate.nodes import Mapping as MappingNode
from factstore.migrate.nodes import plain
from factstore.migrate.template import Template


class Unresolved(Exception):
    """The value is known only to Heat."""


def parameter_values(template: Template, given: Mapping[str, str]) -> dict[str, Any]:
    """Return the values of the parameters: those given, and otherwise the defaults."""
    found: dict[str, Any] = {}
    section = template.root.get(template.words.parameters)
    for entry in section.entries if isinstance(section, MappingNode) else []:
        definition = plain(entry.value)
        if not isinstance(definition, dict):
            continue
        words = {str(key).lower(): value for key, value in definition.items()}
        name, kind = str(entry.key.value), str(words.get("type", "string")).lower()
        if name in given:
            found[name] = _typed(given[name], kind)
        elif "default" in words:
            found[name] = _typed(words["default"], kind)
    return found


def hidden_parameters(template: Template) -> set[str]:
    """Return the parameters whose values Heat does not show."""
    section = template.root.get(template.words.parameters)
    found = set()
    for entry in section.entries if isinstance(section, MappingNode) else []:
        definition = plain(entry.value)
        if isinstance(definition, dict) and any(
            str(definition.get(word, "")).lower() in ("true", "yes", "on", "1")
            for word in ("NoEcho", "hidden")
        ):
            found.add(str(entry.key.value))
    return found


def _typed(value: Any, kind: str) -> Any:
    if not isinstance(value, str):
        return value
    if kind == "json":
        try:
            return json.loads(value)
        except ValueError as error:
            raise Unresolved(f"{value!r} is not JSON") from error
    if kind in ("commadelimitedlist", "comma_delimited_list"):
        return [each.strip() for each in value.split(",")] if value else []
    if kind == "number":
        try:
            return int(value)
        except ValueError:
            return float(value)
    if kind == "boolean":
        return value.strip().lower() in ("t", "true", "on", "y", "yes", "1")
    return value


def evaluate(value: Any, parameters: Mapping[str, Any]) -> Any:
    """Return a value with its functions resolved.

    :raises Unresolved: it needs a resource, a parameter without a value, or another function.
    """
    if isinstance(value, list):
        return [evaluate(each, parameters) for each in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        name, given = next(iter(value.items()))
        if name in ("Ref", "get_param"):
            return _parameter(given, parameters)
        if name in ("Fn::Join", "list_join"):
            return _join(evaluate(given, parameters))
        if name == "str_replace":
            return _replace(evaluate(given, parameters))
        if name == "Fn::Select":
            index, of = _pair(evaluate(given, parameters))
            return _step(of, index)
        if isinstance(name, str) and (
            name.startswith(("Fn::", "get_", "Merge::", "str_", "list_"))
            or name in ("resource_facade", "repeat", "digest", "yaql", "map_merge", "if")
        ):
            raise Unresolved(f"{name} is resolved by Heat")
    return {key: evaluate(each, parameters) for key, each in value.items()}


def _parameter(given: Any, parameters: Mapping[str, Any]) -> Any:
    name, *path = given if isinstance(given, list) else [given]
    if name not in parameters:
        raise Unresolved(f"{name} has no value")
    value = parameters[name]
    for step in path:
        value = _step(value, evaluate(step, parameters))
    return value


def _step(value: Any, index: Any) -> Any:
    try:
        return value[int(index) if isinstance(value, list) else index]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise Unresolved(f"{index!r} does not exist") from error


def _pair(given: Any) -> tuple[Any, Any]:
    if not isinstance(given, list) or len(given) != 2:
        raise Unresolved("the arguments of a function are not two")
    return given[0], given[1]


def _join(given: Any) -> str:
    if not isinstance(given, list) or len(given) < 2:
        raise Unresolved("the arguments of a function are not a text and lists")
    parts = [part for each in given[1:] for part in (each if isinstance(each, list) else [each])]
    return str(given[0]).join(
        part if isinstance(part, str) else "" if part is None else json.dumps(part)
        for part in parts
    )


def _replace(given: Any) -> str:
    if not isinstance(given, dict) or not isinstance(given.get("params"), dict):
        raise Unresolved("the arguments of str_replace are not a template and params")
    text = str(given.get("template", ""))
    for marker in sorted(given["params"], key=lambda each: len(str(each)), reverse=True):
        value = given["params"][marker]
        text = text.replace(str(marker), value if isinstance(value, str) else json.dumps(value))
    return text
