"""Bodies of a stack that are refused."""

from __future__ import annotations

import json

# Of a stack, as application/json.
STACKS = {
    "no object": (b"[]", "400 schema"),
    "a field that nobody knows": (b'{"owner": "me"}', "400 schema"),
    "a description that is no text": (b'{"description": 1}', "400 schema"),
    "a description that is null": (b'{"description": null}', "400 schema"),
    "a long description": (json.dumps({"description": "x" * 100_000}).encode(), "400 schema"),
    "no JSON": (b"description=x", "400 json_invalid"),
}
