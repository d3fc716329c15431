"""Bodies of a fact that are refused."""

from __future__ import annotations

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
    "a number too small for a double": (value("-0.01e-400"), "400 json_value"),
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
