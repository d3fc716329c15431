"""Reads directories: data bags of Chef, and the data of Hiera."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from factstore.client import Put
from factstore.client.render import Omit
from factstore.transfer.paths import leaves, puts
from factstore.transfer.texts import load_yaml

_CONTEXT = "factstore/context.json"
_ENCRYPTED = ("encrypted_data", "cipher")


def read_data_bags(files: Mapping[str, str], omit: Omit) -> list[Put]:
    """Return ``<bag>/<item>/<key>`` for each key of each item.

    :param files: the texts by their paths below the directory.
    :raises ValueError: an item is not a JSON object.
    """
    values: dict[str, Any] = {}
    for path, text in sorted(files.items()):
        parts = PurePosixPath(path)
        if parts.suffix != ".json" or len(parts.parts) != 2:
            continue
        document = _object(path, text)
        if path == _CONTEXT:
            facts = document.get("facts")
            # The item of the renderer has the facts that no other item can contain.
            for name, value in leaves(facts if isinstance(facts, dict) else {}):
                values.setdefault(name, value)
            continue
        item = {key: value for key, value in document.items() if key not in ("id", "chef_type")}
        name = f"{parts.parts[0]}/{parts.stem}"
        if any(isinstance(value, dict) and _ENCRYPTED[0] in value for value in item.values()):
            omit(name, "is encrypted; export it with knife data bag show --secret-file")
        elif set(item) == {"value"}:
            values[name] = item["value"]
        elif item:
            values.update(leaves({name: item}))
        else:
            values[name] = {}
    return puts(values, omit)


def _object(path: str, text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path} is not a JSON object")
    return found


def read_hiera(files: Mapping[str, str], omit: Omit) -> list[Put]:
    """Return ``<file without extension>/<key>`` for each key of each file in YAML or JSON.

    :raises ValueError: a file is not YAML.
    """
    return puts(_hiera(files), omit)


def _hiera(files: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    for path, text in sorted(files.items()):
        file = PurePosixPath(path)
        if file.suffix not in (".yaml", ".yml", ".json") or file.stem == "hiera":
            continue
        try:
            document = load_yaml(text)
        except ValueError as error:
            raise ValueError(f"{path} {error}") from error
        folder = str(file.with_suffix(""))
        for key, value in document.items():
            yield f"{folder}/{key}", value
