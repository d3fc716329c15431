"""The requests of both sides: the service's operations, and etcd's over its JSON gateway."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence

from bench.lab import BATCH, FACTS, STACKS, Lab
from bench.load import Target

VALUE_BYTES = 40
JSON = {"Content-Type": "application/json"}  # of requests with a body
SPREAD = STACKS * FACTS  # number of facts or keys that are read and written in turn
_KEY = base64.b64encode(b"/gateway/").decode().rstrip("=")  # nine bytes, so no padding

# Request n is for a stack and one of its nodes, with the credentials of the stack.
_SETTING = """
    local n = {first}
    math.randomseed(os.time())
    local run = math.random(999999999)
    local filler = string.rep("x", {filler})
    local reading = {{{reading}}}
    local writing = {{{writing}}}
    local own = function(all) return all[n % #all + 1] end
    local path = function()
        return "/v1/stacks/s" .. n % {stacks} .. "/facts/nodes/n" .. math.floor(n / {stacks}) % {nodes}
    end
    local value = function() return string.format("%012d%012d", n, math.random(999999999)) .. filler end
    local get = function() return wrk.format("GET", path() .. "/{fact}", own(reading)) end
    local put = function(name, text)
        local body = '{{"value":"' .. text .. '"}}'
        return wrk.format("PUT", path() .. "/" .. name, own(writing), body)
    end
    request = function()
        n = n + 1
        {request}
    end
"""

_FACTSTORE = {
    "GET": "return get()",
    "PUT": 'return put("load", value())',
    # An equal value is not written.
    "PUT unchanged": 'return put("same", filler)',
    "CREATE": 'return put("made" .. run .. "/" .. n, value())',
    "mixed": 'if n % 10 == 0 then return put("load", value()) end return get()',
    "batch": f"""
        local puts = {{}}
        for each = 1, {BATCH} do
            puts[each] = '{{"put":{{"path":"batch/k' .. each .. '","value":"' .. value() .. '"}}}}'
        end
        local body = '{{"operations":[' .. table.concat(puts, ",") .. "]}}"
        return wrk.format("POST", "/v1/stacks/s" .. n % {STACKS} .. "/batch", own(writing), body)
    """,
}

# Keys and values of the gateway are base64: "/gateway/" and eight digits.
_GATEWAY_SETTING = """
    local n = 0
    local filler = string.rep("x", {filler})
    local key = function() return '{{"key":"{key}' .. string.format("%08d", n % {spread}) .. '"' end
    local get = function() return wrk.format("POST", "/v3/kv/range", nil, key() .. "}}") end
    local put = function()
        local body = key() .. ',"value":"' .. string.format("%032d", n) .. filler .. '"}}'
        return wrk.format("POST", "/v3/kv/put", nil, body)
    end
    request = function()
        n = n + 1
        {request}
    end
"""

_GATEWAY = {
    "GET": "return get()",
    "PUT": "return put()",
    "mixed": "if n % 10 == 0 then return put() end return get()",
}

_WRITE = """
    local n = 0
    math.randomseed(os.time())
    local headers = {{{headers}}}
    local run = math.random(999999999)
    request = function()
        n = n + 1
        local name = "{path}/" .. {name}
        return wrk.format("PUT", name, headers, '{{"value":"' .. run .. n .. '"}}')
    end
"""

_HEARTBEAT = """
    local n = 0
    local headers = {{{headers}}}
    local members = {{{members}}}
    request = function()
        local member = members[n % #members + 1]
        n = n + 1
        local path = "/v1/stacks/{stack}/members/" .. member[1] .. "/heartbeat"
        return wrk.format("POST", path, headers, '{{"generation":"' .. member[2] .. '"}}')
    end
"""

# Numbers of 64 bits are strings in the gateway's JSON.
_KEEP_ALIVE = """
    local n = 0
    local leases = {{{leases}}}
    request = function()
        local lease = leases[n % #leases + 1]
        n = n + 1
        return wrk.format("POST", "/v3/lease/keepalive", nil, '{{"ID":"' .. lease .. '"}}')
    end
"""

_SAME = """
    local headers = {{{headers}}}
    request = function() return wrk.format("GET", "{path}", headers) end
"""


def factstore(
    name: str,
    lab: Lab,
    *,
    value_bytes: int = VALUE_BYTES,
    fact: str = "ip",
    stacks: int = STACKS,
    nodes: int = FACTS,
    first: int = 0,
    credentials: Sequence[Mapping[str, str]] = (),
) -> Target:
    """Return the target for an operation on facts.

    :param fact: name of the fact to read, below each node.
    :param nodes: number of nodes of each stack that are read and written in turn.
    :param first: number of the request before the first one.
    :param credentials: headers for each stack; by default the lab's token.
    """
    everyone = credentials or [_token(lab)]
    script = _SETTING.format(
        filler=max(0, value_bytes - 24),
        reading=",".join(f"{{{headers(each)}}}" for each in everyone),
        writing=",".join(f"{{{headers({**JSON, **each})}}}" for each in everyone),
        stacks=stacks,
        nodes=nodes,
        first=first,
        fact=fact,
        request=_FACTSTORE[name],
    )
    return Target(lab.url, script)


def gateway(name: str, lab: Lab, *, value_bytes: int = VALUE_BYTES, spread: int = SPREAD) -> Target:
    """Return the target for an operation on keys in etcd's JSON gateway."""
    script = _GATEWAY_SETTING.format(
        filler=max(0, (value_bytes + 2) // 3 * 4 - 32),
        key=_KEY,
        spread=spread,
        request=_GATEWAY[name],
    )
    return Target(lab.etcd.endpoint, script)


def same(lab: Lab, path: str, more: Mapping[str, str] | None = None) -> Target:
    """Return the target for always the same GET.

    :param more: more headers.
    """
    return Target(
        lab.url, _SAME.format(headers=headers({**_token(lab), **(more or {})}), path=path)
    )


def write(lab: Lab, folder: str, *, new: bool = False) -> Target:
    """Return the target for PUTs below a path, each of another one of ten facts, or of a new one."""
    name = '"r" .. run .. "/" .. n' if new else '"load" .. n % 10'
    return Target(
        lab.url, _WRITE.format(headers=headers({**JSON, **_token(lab)}), path=folder, name=name)
    )


def heartbeat(lab: Lab, stack: str, generations: Mapping[str, str]) -> Target:
    """Return the target for heartbeats of the members in turn."""
    members = ",".join(f'{{"{name}","{value}"}}' for name, value in generations.items())
    script = _HEARTBEAT.format(
        headers=headers({**JSON, **_token(lab)}), stack=stack, members=members
    )
    return Target(lab.url, script)


def keep_alive(lab: Lab, leases: Iterable[int]) -> Target:
    """Return the target that renews the leases in etcd's JSON gateway."""
    numbers = ",".join(f'"{lease}"' for lease in leases)
    return Target(lab.etcd.endpoint, _KEEP_ALIVE.format(leases=numbers))


def _token(lab: Lab) -> dict[str, str]:
    return {"X-Auth-Token": lab.token} if lab.token else {}


def headers(values: Mapping[str, str]) -> str:
    """Return headers as fields of a Lua table."""
    return ",".join(f"[{_quoted(name)}]={_quoted(value)}" for name, value in values.items())


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
