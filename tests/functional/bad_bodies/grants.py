"""Bodies of a POST of grants, and of a renewal, that are refused."""

from __future__ import annotations

import json


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
