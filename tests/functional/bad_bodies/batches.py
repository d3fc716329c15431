"""Bodies of a batch that are refused."""

from __future__ import annotations

import json

from tests.functional.bad_bodies.facts import BIGGEST


def puts(*paths: str, size: int = 1) -> list[dict[str, object]]:
    return [{"put": {"path": path, "value": "x" * size}} for path in paths]


def many(count: int, size: int = 1) -> list[dict[str, object]]:
    return puts(*(f"p{n}" for n in range(count)), size=size)


def batch(operations: object, guards: object = ()) -> bytes:
    return json.dumps({"guards": guards, "operations": operations}).encode()


ABSENT = {"path": "g", "absent": True}

# Of a batch, as application/json.
BATCHES = {
    "no operations": (batch([]), "400 batch_empty"),
    "operations that are no list": (batch({}), "400 schema"),
    "an operation that is no object": (batch(["put"]), "400 schema"),
    "an operation that nobody knows": (batch([{"move": {"path": "a"}}]), "400 schema"),
    "an operation that is empty": (batch([{}]), "400 schema"),
    "two operations in one": (batch([{**puts("a")[0], "delete": {"path": "b"}}]), "400 schema"),
    "a put without a value": (batch([{"put": {"path": "a"}}]), "400 schema"),
    "a put without a path": (batch([{"put": {"value": 1}}]), "400 schema"),
    "a field that nobody knows": (
        batch([{"delete": {"path": "a", "recursive": True}}]),
        "400 schema",
    ),
    "a path twice": (batch(puts("a", "b", "a")), "400 batch_duplicate_path"),
    "a path put and deleted": (
        batch([*puts("a"), {"delete": {"path": "a"}}]),
        "400 batch_duplicate_path",
    ),
    "a path out of its folder": (batch(puts("a/../b")), "400 path_invalid"),
    "a path that is no text": (batch([{"delete": {"path": 1}}]), "400 schema"),
    "a short ttl": (batch([{"put": {"path": "a", "value": 1, "ttl": 4}}]), "400 ttl_invalid"),
    "a member and a ttl": (
        batch([{"put": {"path": "a", "value": 1, "ttl": 60, "member": "m"}}]),
        "400 ttl_invalid",
    ),
    "a member that is no name": (
        batch([{"put": {"path": "a", "value": 1, "member": ".."}}]),
        "400 path_invalid",
    ),
    "a generation that is none": (
        batch([{"put": {"path": "a", "value": 1, "generation": "g"}}]),
        "400 schema",
    ),
    "a deletion with a generation of its own": (
        batch([{"delete": {"path": "a", "generation": "a"}}]),
        "400 schema",
    ),
    "a guard without a demand": (batch(puts("a"), [{"path": "g"}]), "400 schema"),
    "a guard with two demands": (
        batch(puts("a"), [{**ABSENT, "exists": True}]),
        "400 schema",
    ),
    "a guard that is false": (batch(puts("a"), [{"path": "g", "absent": False}]), "400 schema"),
    "a guard at no path": (batch(puts("a"), [{"path": "", "exists": True}]), "400 path_invalid"),
    "101 operations": (batch(many(101)), "413 batch_too_large"),
    "101 operations and guards": (
        batch(many(60), [{"path": f"g{n}", "absent": True} for n in range(41)]),
        "413 batch_too_large",
    ),
    "a value above 64 KiB": (batch(many(2, BIGGEST)), "413 value_too_large"),
    "more than 1 MiB": (batch(many(17, BIGGEST - 100)), "413 too_large"),
    "a key twice": (b'{"operations": [], "operations": []}', "400 json_duplicate_key"),
    "a hundred thousand brackets": (b'{"operations": ' + b"[" * 100_000, "400 json_too_deep"),
}
