"""Reads variables, hosts files, YAML, and external facts of Facter."""

from __future__ import annotations

import ipaddress
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from factstore.client import Put
from factstore.client.render import Omit
from factstore.transfer.paths import leaves, puts

_ASSIGNMENT = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)


def read_yaml(text: str, omit: Omit) -> list[Put]:
    """Return the facts of a nested document; a context is one, too.

    :raises ValueError: the text is not YAML or not a mapping.
    """
    return puts(leaves(_facts(load_yaml(text))), omit)


def load_yaml(text: str) -> dict[Any, Any]:
    """Return a YAML mapping, in which Ansible's tags have no meaning.

    :raises ValueError: the text is not YAML or not a mapping.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        """Reads dates as strings, because JSON has no dates."""

    Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda _, node: node.value)
    Loader.add_multi_constructor("!", _untagged)
    try:
        found = yaml.load(text, Loader=Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"is not YAML: {error}") from error
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ValueError("is not a mapping")
    return found


def _untagged(loader: Any, _: str, node: Any) -> Any:
    if node.id == "mapping":
        return loader.construct_mapping(node, deep=True)
    if node.id == "sequence":
        return loader.construct_sequence(node, deep=True)
    return loader.construct_object(_plain(loader, node))


def _plain(loader: Any, node: Any) -> Any:
    node.tag = loader.resolve(type(node), node.value, (node.style is None, False))
    return node


def read_facter(text: str, omit: Omit) -> list[Put]:
    """Return external facts in JSON.

    :raises ValueError: the text is not a JSON object.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ValueError("is not a JSON object")
    own = found.get("factstore")
    return puts(leaves(_facts(own) if isinstance(own, dict) and len(found) == 1 else found), omit)


def _facts(document: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Return the facts of a context, or the document itself."""
    facts = document.get("facts")
    if isinstance(facts, dict) and "stack" in document and "members" in document:
        return facts
    return document


def read_env(text: str, omit: Omit) -> list[Put]:
    """Return assignments of a shell as facts with the names of the variables.

    :raises ValueError: a quote is not closed.
    """
    return puts(_assignments(text, omit), omit)


def _assignments(text: str, omit: Omit) -> Iterator[tuple[str, Any]]:
    for words in _commands(text):
        for word in words:
            found = _ASSIGNMENT.fullmatch(word)
            if found:
                yield found[1], found[2]
            elif word != "export":
                omit(word, "is not an assignment")


def _commands(text: str) -> Iterator[list[str]]:
    """Yield the words of each line, which a quoted line break continues."""
    begun = ""
    for line in text.splitlines(keepends=True):
        if not begun and line.lstrip().startswith("#"):
            continue
        begun += line
        try:
            words = shlex.split(begun)
        except ValueError:
            continue
        begun = ""
        yield words
    if begun:
        raise ValueError("is not a file of variables: a quote is not closed")


def read_hosts(text: str, omit: Omit) -> list[Put]:
    """Return ``nodes/<name>/ip`` for each line of a hosts file, by its first name."""
    values: dict[str, Any] = {}
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split()[:2] or [""]
        if not names:
            continue
        try:
            parsed = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            omit(address, "is not an address")
            continue
        if not parsed.is_loopback and not parsed.is_multicast:
            values[f"nodes/{names[0]}/ip"] = address
    return puts(values, omit)
