"""Bodies of an action that are refused."""

from __future__ import annotations

import json


def action(**fields: object) -> bytes:
    return json.dumps({"hook": "script", "group": "g", **fields}).encode()


# Of an action, as application/json.
ACTIONS = {
    "nothing": (b"", "400 json_invalid"),
    "a list": (b"[]", "400 schema"),
    "no hook": (b'{"group": "g"}', "400 schema"),
    "a hook that is null": (action(hook=None), "400 schema"),
    "a hook that is a path": (action(hook="../sh"), "400 path_invalid"),
    "nobody": (action(group=None), "400 schema"),
    "two": (action(member="m"), "400 schema"),
    "a group that is a list": (action(group=["g"]), "400 schema"),
    "a member that is a path": (action(group=None, member="a/b"), "400 path_invalid"),
    "a field that nobody knows": (action(state="due"), "400 schema"),
    "a field of configurations": (action(on_interrupt="retry"), "400 schema"),
    "a script that is null": (action(config=None), "400 schema"),
    "a script with NUL": (action(config="a\0"), "400 json_value"),
    "a script that is too long": (action(config="x" * 65_536), "413 value_too_large"),
    "inputs that are a list": (action(inputs=[]), "400 schema"),
    "a fact that is no path": (action(input_facts={"a": "/x"}), "400 path_invalid"),
    "an input twice": (action(inputs={"a": 1}, input_facts={"a": "x"}), "400 schema"),
    "nobody at a time": (action(max_parallel=0), "400 schema"),
    "too many at a time": (action(max_parallel=10_001), "400 schema"),
    "half of one at a time": (action(max_parallel=0.5), "400 schema"),
    "a number that is true": (action(max_parallel=True), "400 schema"),
    "no time": (action(timeout=0), "400 schema"),
    "too much time": (action(timeout=86_401), "400 schema"),
    "a time that is null": (action(timeout=None), "400 schema"),
    "kept for too short": (action(ttl=59), "400 schema"),
    "kept for too long": (action(ttl=2_592_001), "400 schema"),
    "a stack that does not exist": (action(), "404 not_found"),
}
