"""Bodies that are refused, each with its answer."""

from __future__ import annotations

import json

DEEPEST = 32
BIGGEST = 64 * 1024


def value(text: str) -> bytes:
    return f'{{"value": {text}}}'.encode()


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


# Of a fact, as application/json.
BODIES = {
    "no JSON at all": (b"value", "400 json_invalid"),
    "nothing": (b"", "400 json_invalid"),
    "an unfinished object": (b'{"value": 1', "400 json_invalid"),
    "something behind the end": (b'{"value": 1} 2', "400 json_invalid"),
    "two documents": (b'{"value": 1}{"value": 2}', "400 json_invalid"),
    "single quotes": (b"{'value': 1}", "400 json_invalid"),
    "a trailing comma": (b'{"value": 1,}', "400 json_invalid"),
    "a comment": (b'{"value": 1} // one', "400 json_invalid"),
    "a raw newline in a string": (b'{"value": "a\nb"}', "400 json_invalid"),
    "an unknown escape": (value(r'"\x41"'), "400 json_invalid"),
    "a leading zero": (value("01"), "400 json_invalid"),
    "UTF-16": ('{"value": 1}'.encode("utf-16"), "400 json_invalid"),
    "a byte order mark": (b'\xef\xbb\xbf{"value": 1}', "400 json_invalid"),
    "bytes that are no UTF-8": (b'{"value": "\xff"}', "400 json_invalid"),
    "an overlong encoding": (b'{"value": "\xc0\xaf"}', "400 json_invalid"),
    "a surrogate as UTF-8": (b'{"value": "\xed\xa0\x80"}', "400 json_invalid"),
    "a value nested too deeply": (value(nested(DEEPEST + 1)), "400 json_too_deep"),
    "objects nested too deeply": (
        value('{"a":' * (DEEPEST + 1) + "1" + "}" * (DEEPEST + 1)),
        "400 json_too_deep",
    ),
    "a hundred thousand brackets": (b"[" * 100_000, "400 json_too_deep"),
    "NaN": (value("NaN"), "400 json_value"),
    "Infinity": (value("Infinity"), "400 json_value"),
    "minus Infinity": (value("-Infinity"), "400 json_value"),
    "a number too large for a double": (value("1e999"), "400 json_value"),
    "an integer above 2^63-1": (value(str(2**63)), "400 json_value"),
    "an integer below -2^63": (value(str(-(2**63) - 1)), "400 json_value"),
    "a hundred thousand digits": (value("1" * 60_000), "400 json_value"),
    "a lone surrogate": (value(r'"\ud800"'), "400 json_value"),
    "a lone surrogate in a key": (value(r'{"\udfff": 1}'), "400 json_value"),
    "NUL in a string": (value(r'"a\u0000b"'), "400 json_value"),
    "NUL in a key": (value(r'{"\u0000": 1}'), "400 json_value"),
    "a key twice": (b'{"value": 1, "value": 1}', "400 json_duplicate_key"),
    "a key twice inside the value": (value('{"a": 1, "a": 2}'), "400 json_duplicate_key"),
    "a key twice, spelt differently": (value(r'{"a": 1, "\u0061": 2}'), "400 json_duplicate_key"),
    "a list": (b"[]", "400 schema"),
    "a bare value": (b"1", "400 schema"),
    "null": (b"null", "400 schema"),
    "no value": (b"{}", "400 schema"),
    "an unknown field": (b'{"value": 1, "owner": "me"}', "400 schema"),
    "a switch that is a number": (b'{"value": 1, "sensitive": 1}', "400 schema"),
    "a switch that is a text": (b'{"value": 1, "sensitive": "true"}', "400 schema"),
    "a switch that is null": (b'{"value": 1, "sensitive": null}', "400 schema"),
    "readers that are no list": (
        b'{"value": 1, "sensitive": true, "readers": "group/head"}',
        "400 schema",
    ),
    "a reader that is no text": (b'{"value": 1, "sensitive": true, "readers": [1]}', "400 schema"),
    "a reader that is neither group nor member": (
        b'{"value": 1, "sensitive": true, "readers": ["user/me"]}',
        "400 readers_invalid",
    ),
    "a reader twice": (
        b'{"value": 1, "sensitive": true, "readers": ["group/a", "group/a"]}',
        "400 readers_invalid",
    ),
    "readers of what is not sensitive": (
        b'{"value": 1, "readers": ["group/head"]}',
        "400 readers_invalid",
    ),
    "an unknown kind": (b'{"value": 1, "kind": "Observed"}', "400 schema"),
    "a kind that is no string": (b'{"value": 1, "kind": ["observed"]}', "400 schema"),
    "a kind that is an object": (b'{"value": 1, "kind": {}}', "400 schema"),
    "a null kind": (b'{"value": 1, "kind": null}', "400 schema"),
    "a ttl of 0": (b'{"value": 1, "ttl": 0}', "400 ttl_invalid"),
    "a negative ttl": (b'{"value": 1, "ttl": -5}', "400 ttl_invalid"),
    "a ttl below five seconds": (b'{"value": 1, "ttl": 4}', "400 ttl_invalid"),
    "a ttl above thirty days": (b'{"value": 1, "ttl": 2592001}', "400 ttl_invalid"),
    "a ttl with a fraction": (b'{"value": 1, "ttl": 10.5}', "400 schema"),
    "a ttl written as a float": (b'{"value": 1, "ttl": 10.0}', "400 schema"),
    "a ttl that is true": (b'{"value": 1, "ttl": true}', "400 schema"),
    "a ttl that is a string": (b'{"value": 1, "ttl": "10"}', "400 schema"),
    "a member and a ttl": (b'{"value": 1, "member": "m", "ttl": 60}', "400 ttl_invalid"),
    "a member that is no name": (b'{"value": 1, "member": "a/b"}', "400 path_invalid"),
    "a member without a name": (b'{"value": 1, "member": ""}', "400 path_invalid"),
    "a member that is no text": (b'{"value": 1, "member": ["m"]}', "400 schema"),
    "a member that nobody knows": (b'{"value": 1, "member": "m"}', "409 member_missing"),
    "a generation that is no text": (b'{"value": 1, "generation": 10}', "400 schema"),
    "a generation in capitals": (b'{"value": 1, "generation": "ABC"}', "400 schema"),
    "an empty generation": (b'{"value": 1, "generation": ""}', "400 schema"),
    "a generation with a newline": (b'{"value": 1, "generation": "a\\n"}', "400 schema"),
    "17 digits of a generation": (
        b'{"value": 1, "generation": "' + b"a" * 17 + b'"}',
        "400 schema",
    ),
    "a generation that never lived": (b'{"value": 1, "generation": "a"}', "409 generation_stale"),
    "a value above 64 KiB": (value('"' + "x" * (BIGGEST - 1) + '"'), "413 value_too_large"),
    "a value above 64 KiB in UTF-8": (
        value('"' + "ö" * (BIGGEST // 2) + '"'),
        "413 value_too_large",
    ),
    "a body above 1 MiB": (value(" " * 1024 * 1024 + "1"), "413 too_large"),
}

# Of a fact, as text/plain.
TEXTS = {
    "bytes that are no UTF-8": (b"\xff", "400 text_invalid"),
    "NUL": (b"a\0b", "400 json_value"),
    "a text above 64 KiB": (b"x" * (BIGGEST - 1), "413 value_too_large"),
    "a text above 1 MiB": (b"x" * (1024 * 1024 + 1), "413 too_large"),
}


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

# Of a stack, as application/json.
STACKS = {
    "no object": (b"[]", "400 schema"),
    "a field that nobody knows": (b'{"owner": "me"}', "400 schema"),
    "a description that is no text": (b'{"description": 1}', "400 schema"),
    "a description that is null": (b'{"description": null}', "400 schema"),
    "a long description": (json.dumps({"description": "x" * 100_000}).encode(), "400 schema"),
    "no JSON": (b"description=x", "400 json_invalid"),
}


def waiter(success: object, **more: object) -> bytes:
    return json.dumps({"success": success, **more}).encode()


HERE = {"facts": "a", "present": True}


def alarm(condition: object, **more: object) -> bytes:
    return json.dumps({"condition": condition, **more}).encode()


LOAD = {"function": "avg", "facts": "*/load", "at_least": 1}

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


def configuration(**fields: object) -> bytes:
    return json.dumps({"group": "script", **fields}).encode()


# Of a configuration, as application/json.
CONFIGURATIONS = {
    "nothing": (b"", "400 json_invalid"),
    "a list": (b"[]", "400 schema"),
    "no group": (b"{}", "400 schema"),
    "a group that is null": (configuration(group=None), "400 schema"),
    "a group that is a path": (configuration(group="a/b"), "400 path_invalid"),
    "a field that nobody knows": (configuration(state="due"), "400 schema"),
    "a script that is a list": (configuration(config=["a"]), "400 schema"),
    "a script that is null": (configuration(config=None), "400 schema"),
    "a script with NUL": (configuration(config="a\0"), "400 json_value"),
    "a script that is too long": (configuration(config="x" * 65_536), "413 value_too_large"),
    "options that are a text": (configuration(options="a"), "400 schema"),
    "inputs that are a list": (configuration(inputs=[{"name": "a"}]), "400 schema"),
    "inputs with half a character": (
        b'{"group": "s", "inputs": {"a": "\\ud800"}}',
        "400 json_value",
    ),
    "a fact that is a number": (configuration(input_facts={"a": 1}), "400 schema"),
    "a fact that is no path": (configuration(input_facts={"a": "/x"}), "400 path_invalid"),
    "an input twice": (configuration(inputs={"a": 1}, input_facts={"a": "x"}), "400 schema"),
    "outputs that are an object": (configuration(outputs={"a": 1}), "400 schema"),
    "an output that is a number": (configuration(outputs=[1]), "400 schema"),
    "an output twice": (configuration(outputs=["a", "a"]), "400 schema"),
    "too many outputs": (configuration(outputs=[f"o{n}" for n in range(101)]), "400 schema"),
    "dependencies as a text": (configuration(depends_on="a/b"), "400 schema"),
    "a dependency that is null": (configuration(depends_on=[None]), "400 schema"),
    "a dependency without a member": (configuration(depends_on=["a"]), "400 path_invalid"),
    "a dependency with too much": (configuration(depends_on=["a/b/c"]), "400 path_invalid"),
    "a dependency on the agent": (configuration(depends_on=["a/agent"]), "400 path_invalid"),
    "a dependency twice": (configuration(depends_on=["a/b", "a/b"]), "400 schema"),
    "too many dependencies": (
        configuration(depends_on=[f"a/{n}" for n in range(33)]),
        "400 schema",
    ),
    "itself": (configuration(depends_on=["m/c"]), "409 configuration_circle"),
    "an action that nobody knows": (configuration(action="DESTROY"), "400 schema"),
    "an action in small letters": (configuration(action="delete"), "400 schema"),
    "an action that is a list": (configuration(action=["CREATE"]), "400 schema"),
    "a policy that nobody knows": (configuration(on_interrupt="ignore"), "400 schema"),
    "no time": (configuration(timeout=0), "400 schema"),
    "too much time": (configuration(timeout=86_401), "400 schema"),
    "a time that is true": (configuration(timeout=True), "400 schema"),
    "half a second": (configuration(timeout=0.5), "400 schema"),
}


def result(**fields: object) -> bytes:
    return json.dumps({"id": "i", "state": "complete", **fields}).encode()


# Of the result of a configuration, as application/json.
RESULTS = {
    "no id": (b'{"state": "complete"}', "400 schema"),
    "no state": (b'{"id": "i"}', "400 schema"),
    "an id that is a number": (result(id=1), "400 schema"),
    "a state that nobody reports": (result(state="due"), "400 schema"),
    "a state that is null": (result(state=None), "400 schema"),
    "a status that is a text": (result(status_code="0"), "400 schema"),
    "a status that is true": (result(status_code=True), "400 schema"),
    "a status that is too large": (result(status_code=2**31), "400 schema"),
    "an output that is null": (result(stdout=None), "400 schema"),
    "an output that is too long": (result(stdout="x" * 16_385), "400 schema"),
    "an output of long characters": (result(stderr="\N{SNOWMAN}" * 5_462), "400 schema"),
    "an output with NUL": (result(stderr="a\0"), "400 json_value"),
    "an output with half a character": (
        b'{"id": "i", "state": "failed", "stdout": "\\udc00"}',
        "400 json_value",
    ),
    "outputs that are a list": (result(outputs=["a"]), "400 schema"),
    "outputs that are too long": (result(outputs={"a": "x" * 16_384}), "400 schema"),
    "outputs with NUL": (result(outputs={"a\0": 1}), "400 json_value"),
    "more than everything": (result(percent=101), "400 schema"),
    "less than nothing": (result(percent=-1), "400 schema"),
    "half of it": (result(percent=0.5), "400 schema"),
    "a message that is too long": (result(message="x" * 1025), "400 schema"),
    "a reason that is an object": (result(reason={}), "400 schema"),
    "the field of another": (result(result="x"), "400 schema"),
    "nothing's result": (result(), "404 not_found"),
}


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

# Of a turn, as application/json.
TURNS = {
    "a list": (b"[]", "400 schema"),
    "no JSON": (b"me", "400 json_invalid"),
    "a field that nobody knows": (b'{"state": "holding"}', "400 schema"),
    "nobody at all": (b'{"max_parallel": 0}', "400 schema"),
    "too many": (b'{"max_parallel": 10001}', "400 schema"),
    "half a holder": (b'{"max_parallel": 1.5}', "400 schema"),
    "a number that is true": (b'{"max_parallel": true}', "400 schema"),
    "a number that is a text": (b'{"max_parallel": "2"}', "400 schema"),
    "a number that is null": (b'{"max_parallel": null}', "400 schema"),
    "a rank that is a number": (b'{"rank": 0}', "400 schema"),
    "a generation that is none": (b'{"generation": "xyz"}', "400 schema"),
    "nobody's turn": (b"{}", "404 not_found"),
}


def grant(**fields: object) -> bytes:
    return json.dumps({"member": "c1", **fields}).encode()


YEAR_AND_A_DAY = 366 * 24 * 3600

# Of a POST of grants, as application/json.
GRANTS = {
    "nothing": (b"", "400 json_invalid"),
    "no object": (b"[]", "400 schema"),
    "a text": (b'"agent"', "400 schema"),
    "an agent that is nobody": (b"{}", "400 schema"),
    "an agent whose member is null": (grant(member=None), "400 schema"),
    "a role that nobody knows": (grant(role="owner"), "400 schema"),
    "a role in capitals": (grant(role="Agent"), "400 schema"),
    "a role that is null": (grant(role=None), "400 schema"),
    "a list of roles": (grant(role=["agent", "reader"]), "400 schema"),
    "a member that is no text": (grant(member=1), "400 schema"),
    "a list of members": (grant(member=["c1", "c2"]), "400 schema"),
    "a member that is no name": (grant(member="a/b"), "400 path_invalid"),
    "a member that is hidden": (grant(member=".."), "400 path_invalid"),
    "a member without a name": (grant(member=""), "400 path_invalid"),
    "a member that stands for all": (grant(member="*"), "400 path_invalid"),
    "a member with a newline": (grant(member="c1\n"), "400 path_invalid"),
    "a member of 129 letters": (grant(member="x" * 129), "400 path_invalid"),
    "a group that is no name": (grant(group="a/b"), "400 path_invalid"),
    "a group without a name": (grant(group=""), "400 path_invalid"),
    "a group that is no text": (grant(group=True), "400 schema"),
    "a group of nobody": (grant(role="reader", member=None, group="g"), "400 schema"),
    "a ttl below a minute": (grant(ttl=59), "400 ttl_invalid"),
    "a ttl of 0": (grant(ttl=0), "400 ttl_invalid"),
    "a ttl above 366 days": (grant(ttl=YEAR_AND_A_DAY + 1), "400 ttl_invalid"),
    "a ttl beyond 64 bits": (grant(ttl=2**63), "400 json_value"),
    "a ttl that is null": (grant(ttl=None), "400 schema"),
    "a ttl that is true": (grant(ttl=True), "400 schema"),
    "a ttl with a fraction": (grant(ttl=60.5), "400 schema"),
    "a ttl that is a string": (grant(ttl="3600"), "400 schema"),
    "a secret of one's own": (grant(secret="s" * 43), "400 schema"),
    "an id of one's own": (grant(id="g"), "400 schema"),
    "an end of one's own": (grant(expires_at="2099-01-01T00:00:00Z"), "400 schema"),
    "a field that nobody knows": (grant(paths=["a"]), "400 schema"),
    "a key twice": (b'{"member": "c1", "member": "c2"}', "400 json_duplicate_key"),
    "a member of half a letter": (b'{"member": "\\ud800"}', "400 path_invalid"),
    "a hundred thousand brackets": (b'{"member": ' + b"[" * 100_000, "400 json_too_deep"),
}

# Of a renewal, as application/json.
RENEWALS = {
    "no object": (b"[]", "400 schema"),
    "nothing, said to be JSON": (b"", "404 not_found"),  # of nobody; the body is right
    "no JSON": (b"ttl=60", "400 json_invalid"),
    "a ttl below a minute": (b'{"ttl": 59}', "404 not_found"),  # of nobody's grant
    "a ttl that is a string": (b'{"ttl": "60"}', "400 schema"),
    "a ttl that is true": (b'{"ttl": true}', "400 schema"),
    "a field that nobody knows": (b'{"expires_at": "2099-01-01T00:00:00Z"}', "400 schema"),
    "nobody's grant": (b"{}", "404 not_found"),
}


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
