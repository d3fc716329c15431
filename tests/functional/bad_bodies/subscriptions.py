"""Bodies of a POST of subscriptions that are refused."""

from __future__ import annotations

import json


def subscription(**fields: object) -> bytes:
    return json.dumps({"target": "https://receiver.example.com/", **fields}).encode()


# Of a POST of subscriptions, as application/json.
SUBSCRIPTIONS = {
    "nothing": (b"", "400 json_invalid"),
    "no object": (b"[]", "400 schema"),
    "no target": (b"{}", "400 schema"),
    "a target that is null": (subscription(target=None), "400 schema"),
    "a list of targets": (subscription(target=["https://a.example/"]), "400 schema"),
    "an empty target": (subscription(target=""), "400 target_invalid"),
    "a target with half a character": (
        b'{"target": "https://a.example/\\ud800"}',
        "400 target_invalid",
    ),
    "a target with a newline": (subscription(target="https://a.example/\n"), "400 target_invalid"),
    "a target with a user": (subscription(target="https://u:p@a.example/"), "400 target_invalid"),
    "a loopback target": (subscription(target="https://127.0.0.1/"), "400 target_invalid"),
    "a name of 129 letters": (subscription(name="x" * 129), "400 schema"),
    "a name with a newline": (subscription(name="a\n"), "400 schema"),
    "a name that is null": (subscription(name=None), "400 schema"),
    "a name with half a character": (subscription(name="\ud800"), "400 schema"),
    "stacks that are a text": (subscription(stacks="*"), "400 schema"),
    "stacks that are null": (subscription(stacks=None), "400 schema"),
    "stacks that are numbers": (subscription(stacks=[1]), "400 schema"),
    "a stack without a name": (subscription(stacks=[""]), "400 schema"),
    "a pattern with braces": (subscription(stacks=["{a,b}"]), "400 schema"),
    "33 stacks": (subscription(stacks=[f"a{n}" for n in range(33)]), "400 schema"),
    "a type in capitals": (subscription(types=["FACT.PUT"]), "400 schema"),
    "a prefix without segments": (subscription(prefixes=[""]), "400 path_invalid"),
    "a prefix with a slash at its end": (subscription(prefixes=["a/"]), "400 path_invalid"),
    "33 prefixes": (subscription(prefixes=[f"a{n}" for n in range(33)]), "400 schema"),
    "a group that is no name": (subscription(groups=["a/b"]), "400 path_invalid"),
    "an alarm that is no name": (subscription(alarms=["a/b"]), "400 path_invalid"),
    "no events": (subscription(max_events=0), "400 schema"),
    "257 events": (subscription(max_events=257), "400 schema"),
    "events that are true": (subscription(max_events=True), "400 schema"),
    "events that are null": (subscription(max_events=None), "400 schema"),
    "a delay of 61 seconds": (subscription(max_delay=61), "400 schema"),
    "a delay with a fraction": (subscription(max_delay=0.5), "400 schema"),
    "a state": (subscription(state="active"), "400 schema"),
    "a secret of its own": (subscription(secret="whsec_AAAA"), "400 schema"),
}
