"""Bodies of a member, its read set, its state and its heartbeats that are refused."""

from __future__ import annotations

import json

from tests.functional.bad_bodies.facts import DEEPEST, nested

# Of a read set, as application/json.
READ_SETS = {
    "a list": (b"[]", "400 schema"),
    "no JSON": (b"facts=a", "400 json_invalid"),
    "a field that is unknown": (b'{"patterns": []}', "400 schema"),
    "facts that are a string": (b'{"facts": "nodes/"}', "400 schema"),
    "facts that are null": (b'{"facts": null}', "400 schema"),
    "a fact that is a number": (b'{"facts": [1]}', "400 schema"),
    "an empty fact": (b'{"facts": [""]}', "400 path_invalid"),
    "a path that leaves its folder": (b'{"facts": ["a/../b"]}', "400 path_invalid"),
    "a star in a segment": (b'{"facts": ["n*"]}', "400 path_invalid"),
    "five stars": (b'{"facts": ["*/*/*/*/*"]}', "400 path_invalid"),
    "a member that is a path": (b'{"members": ["a/b"]}', "400 path_invalid"),
    "a group that is a star": (b'{"groups": ["*"]}', "400 path_invalid"),
    "1001 entries": (
        json.dumps({"facts": [f"f{at}" for at in range(1001)]}).encode(),
        "413 value_too_large",
    ),
    "a generation that is a number": (b'{"generation": 1}', "400 schema"),
}


def member(**fields: object) -> bytes:
    return json.dumps({"group": "g", **fields}).encode()


# Of a member, as application/json.
MEMBERS = {
    "nothing": (b"{}", "400 schema"),
    "a list": (b"[]", "400 schema"),
    "no JSON": (b"group=g", "400 json_invalid"),
    "a field that nobody knows": (member(owner="me"), "400 schema"),
    "a state": (member(state="ready"), "400 schema"),
    "a group that is no name": (member(group="a/b"), "400 path_invalid"),
    "a group without a name": (member(group=""), "400 path_invalid"),
    "a group that is hidden": (member(group=".."), "400 path_invalid"),
    "a group with a newline": (member(group="g\n"), "400 path_invalid"),
    "a group that is no text": (member(group=1), "400 schema"),
    "a group that is null": (member(group=None), "400 schema"),
    "a ttl below five seconds": (member(ttl=4), "400 ttl_invalid"),
    "a ttl above a day": (member(ttl=86401), "400 ttl_invalid"),
    "a ttl that is null": (member(ttl=None), "400 schema"),
    "a ttl that is true": (member(ttl=True), "400 schema"),
    "a ttl with a fraction": (member(ttl=30.5), "400 schema"),
    "a ttl that is a string": (member(ttl="30"), "400 schema"),
    "attributes that are a list": (member(attributes=["r1"]), "400 schema"),
    "attributes that are null": (member(attributes=None), "400 schema"),
    "attributes above 16 KiB": (member(attributes={"a": "x" * 16_384}), "413 value_too_large"),
    "attributes nested too deeply": (
        b'{"group": "g", "attributes": {"a": %s}}' % nested(DEEPEST).encode(),
        "400 json_too_deep",
    ),
    "NUL in an attribute": (member(attributes={"a": "\0"}), "400 json_value"),
    "a generation that is no text": (member(generation=1), "400 schema"),
    "a generation that is none": (member(generation="g1"), "400 schema"),
    "a generation that never lived": (member(generation="a"), "409 generation_stale"),
    "an empty word": (member(declared=""), "400 schema"),
    "a word of 256 letters": (member(declared="x" * 256), "400 schema"),
    "a word of other letters": (member(declared="h\u00e9at:1"), "400 schema"),
    "a word with a newline": (member(declared="heat:1\n"), "400 schema"),
    "a word with a tab": (member(declared="heat\t1"), "400 schema"),
    "a word that is no text": (member(declared=1), "400 schema"),
    "a word that is a switch": (member(declared=True), "400 schema"),
    "a list of words": (member(declared=["heat:1"]), "400 schema"),
    "a word and a ttl": (member(declared="heat:1", ttl=30), "400 ttl_invalid"),
    "a word and a ttl that is null": (member(declared="heat:1", ttl=None), "400 schema"),
    "a word and a generation": (member(declared="heat:1", generation="a"), "400 schema"),
    "a reason in capitals": (member(reason="Scaled"), "400 schema"),
    "a reason of two words": (member(reason="scaled out"), "400 schema"),
    "an empty reason": (member(reason=""), "400 schema"),
    "a reason of 65 letters": (member(reason="x" * 65), "400 schema"),
    "a reason with a newline": (member(reason="scaled\n"), "400 schema"),
    "a reason that is no text": (member(reason=1), "400 schema"),
}

# Of a PATCH of a member, as application/json.
STATES = {
    "nothing": (b"{}", "400 schema"),
    "no object": (b'"ready"', "400 schema"),
    "a state that nobody sets": (b'{"state": "joining"}', "400 schema"),
    "a state that is left by DELETE": (b'{"state": "departed"}', "400 schema"),
    "a state in capitals": (b'{"state": "READY"}', "400 schema"),
    "a state that is no text": (b'{"state": ["ready"]}', "400 schema"),
    "a group": (b'{"state": "ready", "group": "g"}', "400 schema"),
    "a generation that is none": (b'{"state": "ready", "generation": "G"}', "400 schema"),
    "nobody's state": (b'{"state": "ready"}', "404 not_found"),
}

# Of a heartbeat, as application/json.
HEARTBEATS = {
    "a list": (b"[]", "400 schema"),
    "no JSON": (b"alive", "400 json_invalid"),
    "nothing, said to be JSON": (b"", "404 not_found"),  # of nobody; the body is right
    "a field that nobody knows": (b'{"alive": true}', "400 schema"),
    "a cursor that is a number": (b'{"applied": 7}', "400 schema"),
    "a cursor that is none": (b'{"applied": "7"}', "400 cursor_invalid"),
    "an empty cursor": (b'{"applied": ""}', "400 cursor_invalid"),
    "a generation that is none": (b'{"generation": "xyz"}', "400 schema"),
    "nobody's sign of life": (b"{}", "404 not_found"),
    "a stranger's sign of life": (b'{"generation": "a"}', "404 not_found"),
}
