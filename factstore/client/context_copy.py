"""A copy of a stack's context that deltas keep up to date, and its checksum.

The checksum is the one of the service: the sum, modulo 2^128, of a hash of each value in ``facts``,
``members`` and ``sensitive`` that is not an object, and of each empty object.  The hash is the first
16 bytes of the SHA-256 of ``[PATH,VALUE]`` in canonical JSON, where PATH is the array of the keys that
lead to the value.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from hashlib import sha256 as _sha256
from json.encoder import encode_basestring as _quote
from typing import Any

MODULUS = 2**128
_ABSENT = object()
_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))
_FACTS, _MEMBERS, _SENSITIVE = '"facts"', '"members"', '"sensitive"'


class ContextCopy:
    """A copy of a context.

    Documents that were returned do not change with the copy; they share the parts that are equal.

    :param document: the whole context.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._stack: str = document["stack"]
        self._facts: dict[str, Any] = document["facts"]
        self._members: dict[str, Any] = document["members"]
        self._sensitive: dict[str, str] = document.get("sensitive") or {}
        self._total = sum(
            _hash_of(keys, child) if child else 0
            for keys, child in (
                (_FACTS, self._facts),
                (_MEMBERS, self._members),
                (_SENSITIVE, self._sensitive),
            )
        )

    @property
    def checksum(self) -> str:
        """The checksum, as the service writes it."""
        return f"{self._total % MODULUS:032x}"

    def apply(self, delta: Mapping[str, Any]) -> None:
        """Apply what has changed, in the form in which the service returns it."""
        facts: Mapping[str, Any] = delta["facts"]
        deleted: Collection[str] = delta["deleted"]
        # A deleted fact may have become a folder, or a folder a fact.
        self._facts = self._merged(self._facts, _nested(dict.fromkeys(deleted, ())), _FACTS)
        puts = _nested({path: (value,) for path, value in facts.items()})
        self._facts = self._merged(self._facts, puts, _FACTS)
        members = dict.fromkeys(delta["departed"], ())
        members |= {name: (member,) for name, member in delta["members"].items()}
        self._members = self._merged(self._members, members, _MEMBERS)
        tags: dict[str, Any] = {
            path: () for path in (*deleted, *facts) if path in self._sensitive
        } | {path: (tag,) for path, tag in delta["sensitive"].items()}
        self._sensitive = self._merged(self._sensitive, tags, _SENSITIVE)

    def document(self, member: str | None, parts: Collection[str]) -> dict[str, Any]:
        """Return the document, as the service returns it.

        :param member: the member that reads it; None for none.
        :param parts: what to add for the member: ``self`` and ``peers``.
        """
        document: dict[str, Any] = {
            "stack": self._stack,
            "facts": self._facts,
            "members": self._members,
        }
        if self._sensitive:
            document["sensitive"] = self._sensitive
        own = self._members.get(member) if member is not None else None
        if own is not None and "self" in parts:
            about = {"name": member, "group": own["group"], **self._peer(member, own)}
            document["self"] = about
        if own is not None and "peers" in parts:
            groups: dict[str, dict[str, Any]] = {}
            for name, other in self._members.items():
                if name != member:
                    groups.setdefault(other["group"], {})[name] = self._peer(name, other)
            document["peers"] = dict(sorted(groups.items()))
        return document

    def _peer(self, name: str | None, member: Mapping[str, Any]) -> dict[str, Any]:
        nodes = self._facts.get("nodes")
        facts = nodes.get(name) if isinstance(nodes, dict) else None
        return {
            "state": member["state"],
            "attributes": member["attributes"],
            "facts": facts if isinstance(facts, dict) else {},
        }

    def _merged(
        self, folder: dict[str, Any], changes: Mapping[str, Any], keys: str
    ) -> dict[str, Any]:
        """Return an object with changes, and move the checksum.

        :param changes: by name: an object with the changes below, ``(value,)``, or ``()`` to delete.
        :param keys: the keys that lead to the object, as JSON with commas between them.
        """
        if not changes:
            return folder
        merged = dict(folder)
        for name, change in changes.items():
            path, old = f"{keys},{_quote(name)}", merged.get(name, _ABSENT)
            if type(change) is dict:
                if type(old) is not dict or not old:
                    self._total -= _hash_of(path, old)
                    old = {}
                new = (
                    self._merged(old, change, path) or _ABSENT
                )  # a folder exists only with its facts
            else:
                new = change[0] if change else _ABSENT
                self._total += _difference(path, old, new)
            if new is _ABSENT:
                merged.pop(name, None)
            else:
                merged[name] = new
        if len(merged) > len(folder) or not folder.keys() >= merged.keys():
            merged = dict(sorted(merged.items()))
        return merged


def _nested(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return changes, nested by the segments of their paths."""
    tree: dict[str, Any] = {}
    # A path can be that of a folder above another one only if both were deleted.
    for path, change in sorted(changes.items(), reverse=True):
        *folders, name = path.split("/")
        folder = tree
        for segment in folders:
            folder = folder.setdefault(segment, {})
        folder[name] = change
    return tree


def _difference(keys: str, old: Any, new: Any) -> int:
    """Return the difference of the sums of the hashes of two values; each may be absent."""
    if type(old) is dict and type(new) is dict and old and new:
        total = 0
        for name, value in new.items():
            before = old.get(name, _ABSENT)
            # Equal objects may differ as JSON: true and 1 are equal, too.
            if before is not value and not (type(before) is type(value) is str and before == value):
                total += _difference(f"{keys},{_quote(name)}", before, value)
        if not old.keys() <= new.keys():
            for name in old.keys() - new.keys():
                total -= _hash_of(f"{keys},{_quote(name)}", old[name])
        return total
    if old == {} == new:
        return 0
    return _hash_of(keys, new) - _hash_of(keys, old)


def _hash_of(keys: str, value: Any) -> int:
    """Return the sum of the hashes of a value; 0 if it is absent.

    :param keys: the keys that lead to it, as JSON with commas between them.
    """
    # For strings and numbers, which most values are, the encoder would cost more than the hash.
    kind = type(value)
    if kind is str:
        text = _quote(value)
    elif kind is int:
        text = repr(value)
    elif kind is dict and value:
        total = 0
        for name, child in value.items():
            total += _hash_of(f"{keys},{_quote(name)}", child)
        return total
    elif value is _ABSENT:
        return 0
    else:
        text = "{}" if kind is dict else _ENCODER.encode(value)
    return int.from_bytes(_sha256(f"[[{keys}],{text}]".encode()).digest()[:16], "big")
