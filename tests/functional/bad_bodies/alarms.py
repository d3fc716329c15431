"""Bodies of an alarm that are refused."""

from __future__ import annotations

import json

from tests.functional.bad_bodies.conditions import HERE, LOAD


def alarm(condition: object, **more: object) -> bytes:
    return json.dumps({"condition": condition, **more}).encode()


# Of an alarm, as application/json.
ALARMS = {
    "no condition": (b"{}", "400 schema"),
    "a condition that is null": (alarm(None), "400 schema"),
    "a timeout": (alarm(HERE, timeout=60), "400 schema"),
    "a count of seconds that is null": (alarm(HERE, quiet=None), "400 schema"),
    "seconds that are a text": (alarm(HERE, **{"for": "60"}), "400 condition_invalid"),
    "more than a day": (alarm(HERE, repeat=86401), "400 condition_invalid"),
    "no data that is a number": (alarm(HERE, no_data=0), "400 condition_invalid"),
    "signals": (alarm({"signals": 1}), "400 condition_invalid"),
    "an aggregate of nothing": (alarm({"aggregate": {}}), "400 condition_invalid"),
    "a clear beyond": (alarm({"aggregate": {**LOAD, "clear": 2}}), "400 condition_invalid"),
    "a number as a text": (
        alarm({"aggregate": {**LOAD, "at_least": "1"}}),
        "400 condition_invalid",
    ),
    "a huge number": (
        b'{"condition": {"facts": "a", "at_least": 1e999}}',
        "400 json_value",
    ),
}
