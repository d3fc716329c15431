"""Bodies of a turn that are refused."""

from __future__ import annotations

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
