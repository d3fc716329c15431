"""Bodies of a configuration and of its result that are refused."""

from __future__ import annotations

import json


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
