"""The checksum of a context document, which readers compute from their copy.

Its items are the values in ``facts``, ``members`` and ``sensitive`` that are not objects, and the
empty objects.  The checksum is the sum of the items' hashes modulo 2^128.  A change therefore costs as
much as the items that it adds and removes, however large the document is.

The hash of an item is the first 16 bytes of the SHA-256 of ``[PATH,VALUE]`` in canonical JSON, as a
big-endian integer.  PATH is the array of the keys that lead to the value, such as
``["facts","nodes","c1","ip"]``.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from factstore.core.model.fact import Fact
from factstore.core.model.member import Member
from factstore.core.model.value import encode

MODULUS = 2**128
CHECKSUM_PATTERN = "[0-9a-f]{32}"


def checksum_text(total: int) -> str:
    """Return a checksum as 32 hexadecimal digits."""
    return f"{total % MODULUS:032x}"


def fact_hash(fact: Fact, epoch: str) -> int:
    """Return the sum of the hashes that a fact adds to the checksum.

    :param epoch: of the store; it is part of the entity tag of a sensitive fact.
    """
    keys = fact.path.replace("/", '","')  # segments contain nothing that JSON escapes
    if fact.text.startswith("{") and fact.text != "{}":
        total = _object_hash(f'["facts","{keys}"', json.loads(fact.text))
    else:
        total = _hash(f'[["facts","{keys}"],{fact.text}]')
    if fact.sensitive:
        total += _hash(f'[["sensitive","{fact.path}"],"{fact.etag(epoch)}"]')
    return total


def member_hash(member: Member) -> int:
    """Return the sum of the hashes that a member adds to the checksum."""
    shown = {
        "group": member.group,
        "state": member.state,
        "attributes": json.loads(member.attributes),
    }
    return _object_hash(f'["members","{member.name}"', shown)


def _object_hash(keys: str, value: dict[str, Any]) -> int:
    """Return the sum of the hashes of the items in an object that is not empty.

    :param keys: the canonical array of the keys that lead to the object, without its last bracket.
    """
    total = 0
    for name, child in value.items():
        path = f"{keys},{encode(name)}"
        if isinstance(child, dict) and child:
            total += _object_hash(path, child)
        else:
            total += _hash(f"[{path}],{encode(child)}]")
    return total


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16])
