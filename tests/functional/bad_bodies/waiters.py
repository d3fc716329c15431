"""Bodies of a waiter that are refused."""

from __future__ import annotations

import json

from tests.functional.bad_bodies.conditions import HERE, LOAD


def waiter(success: object, **more: object) -> bytes:
    return json.dumps({"success": success, **more}).encode()


# Of a waiter, as application/json.
WAITERS = {
    "no object": (b"[]", "400 schema"),
    "nothing": (b"", "400 json_invalid"),
    "no success": (b"{}", "400 schema"),
    "a field that nobody knows": (waiter(HERE, retries=3), "400 schema"),
    "a success that is null": (waiter(None), "400 schema"),
    "a success that is a text": (waiter("a"), "400 condition_invalid"),
    "a success that is empty": (waiter({}), "400 condition_invalid"),
    "draining members that are a number": (
        waiter({"converged": {"include_draining": 1}}),
        "400 condition_invalid",
    ),
    "a success of two kinds": (waiter({"signals": 1, "converged": {}}), "400 condition_invalid"),
    "a test that is missing": (waiter({"facts": "a"}), "400 condition_invalid"),
    "a test that is false": (waiter({"facts": "a", "present": False}), "400 condition_invalid"),
    "a path out of its folder": (
        waiter({"facts": "a/../b", "present": True}),
        "400 condition_invalid",
    ),
    "a star in a segment": (waiter({"facts": "n*", "present": True}), "400 condition_invalid"),
    "an aggregate": (waiter({"aggregate": LOAD}), "400 condition_invalid"),
    "a pattern that is too long": (
        waiter({"facts": "a", "match": "*" * 129}),
        "400 condition_invalid",
    ),
    "a count of 0": (waiter({**HERE, "count": 0}), "400 condition_invalid"),
    "a count that is true": (waiter({"signals": True}), "400 condition_invalid"),
    "nothing of all": (waiter({"all": []}), "400 condition_invalid"),
    "signals that fail": (waiter(HERE, failure={"signals": 1}), "400 condition_invalid"),
    "a timeout of 0": (waiter(HERE, timeout=0), "400 condition_invalid"),
    "a timeout above thirty days": (waiter(HERE, timeout=2592001), "400 condition_invalid"),
    "a timeout that is a text": (waiter(HERE, timeout="60"), "400 condition_invalid"),
    "a timeout that is null": (waiter(HERE, timeout=None), "400 schema"),
    "an extension that is 1": (waiter(HERE, extend_on_progress=1), "400 condition_invalid"),
    "stuck for no time": (waiter(HERE, fail_when_stuck=0), "400 condition_invalid"),
    "stuck for a text": (waiter(HERE, fail_when_stuck="60"), "400 condition_invalid"),
    "stuck for more than a month": (waiter(HERE, fail_when_stuck=2592001), "400 condition_invalid"),
    "stuck for a fraction": (waiter(HERE, fail_when_stuck=1.5), "400 condition_invalid"),
    "stuck if true": (waiter(HERE, fail_when_stuck=True), "400 condition_invalid"),
    "seventeen conditions": (waiter({"all": [HERE] * 17}), "400 condition_invalid"),
    "much": (waiter({"facts": "a", "equals": "x" * 20_000}), "400 condition_invalid"),
    "a hundred thousand brackets": (b'{"success": ' + b"[" * 100_000, "400 json_too_deep"),
    "a key twice": (b'{"success": {}, "success": {}}', "400 json_duplicate_key"),
}
