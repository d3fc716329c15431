"""Dumps of key-value stores: ``consul kv export``, and ``etcdctl get --prefix -w json``."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any

from factstore.client import Put
from factstore.client.render import Omit
from factstore.transfer.paths import puts

JSON_FLAG = 0x6A736F6E
"""The flags of a key in Consul whose value is JSON and not a text: the letters json."""


def write_consul(values: Mapping[str, Any]) -> str:
    """Return what ``consul kv import`` reads."""
    rows = []
    for key, value in sorted(values.items()):
        is_text = isinstance(value, str)
        text = value if is_text else json.dumps(value, ensure_ascii=False, sort_keys=True)
        rows.append({"key": key, "flags": 0 if is_text else JSON_FLAG, "value": _encoded(text)})
    return json.dumps(rows, indent="\t") + "\n"


def read_consul(text: str, omit: Omit) -> list[Put]:
    """Return the facts of an export.

    :raises ValueError: the text is not an export.
    """
    rows = _json(text, list, "an export of Consul")
    return puts(_consul(rows, omit), omit)


def _consul(rows: list[Any], omit: Omit) -> Iterator[tuple[str, Any]]:
    for row in rows:
        if not isinstance(row, dict) or not isinstance(row.get("key"), str):
            raise ValueError("is not an export of Consul: an entry has no key")
        key = row["key"]
        if key.endswith("/"):
            continue  # Consul's way to keep an empty folder
        value = _decoded(key, row.get("value"), omit)
        if value is not None:
            yield key, _parsed(value) if row.get("flags") == JSON_FLAG else value


def write_etcd(values: Mapping[str, Any]) -> str:
    """Return what ``etcdctl get --prefix -w json`` prints."""
    rows = [
        {"key": _encoded(key), "value": _encoded(_unambiguous(value))}
        for key, value in sorted(values.items())
    ]
    return json.dumps({"kvs": rows, "count": len(rows)}, indent=2) + "\n"


def read_etcd(text: str, omit: Omit) -> list[Put]:
    """Return the facts of a dump: values that are JSON as such, and others as texts.

    :raises ValueError: the text is not a dump.
    """
    rows = _json(text, dict, "a dump of etcd").get("kvs") or []
    if not isinstance(rows, list):
        raise ValueError("is not a dump of etcd: kvs is not a list")
    return puts(_etcd(rows, omit), omit)


def _etcd(rows: list[Any], omit: Omit) -> Iterator[tuple[str, Any]]:
    for row in rows:
        key = _decoded("a key", row.get("key") if isinstance(row, dict) else None, omit)
        value = None if key is None else _decoded(key, row.get("value", ""), omit)
        if key is not None and value is not None:
            yield key.lstrip("/"), _parsed(value)


def _unambiguous(value: Any) -> str:
    """Return the text that is read as this value."""
    if isinstance(value, str) and _parsed(value) == value:
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _decoded(key: str, text: Any, omit: Omit) -> str | None:
    try:
        return base64.b64decode(text or "", validate=True).decode()
    except (ValueError, TypeError):
        omit(key, "is not text")
        return None


def _json(text: str, kind: type[Any], noun: str) -> Any:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not {noun}: {error}") from error
    if not isinstance(found, kind):
        raise ValueError(f"is not {noun}")
    return found
