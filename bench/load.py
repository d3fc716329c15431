"""Generate load with wrk: the same requests for both sides, as Lua scripts."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.lab import FACTS, STACKS, Lab

CONNECTIONS = 64
VALUE_BYTES = 40
SPREAD = STACKS * FACTS  # number of facts or keys that are read and written in turn
_KEY = base64.b64encode(b"/gateway/").decode().rstrip("=")  # nine bytes, so no padding

_FACTSTORE = {
    "GET": """
        request = function()
            n = n + 1
            return wrk.format("GET", path(n % {spread}) .. "/{name}", headers)
        end
    """,
    # An equal value would not be written.
    "PUT": """
        request = function()
            n = n + 1
            local value = string.format("%012d%012d", n, math.random(999999999)) .. filler
            local body = '{{"value":"' .. value .. '"}}'
            return wrk.format("PUT", path(n % {spread}) .. "/load", headers, body)
        end
    """,
    "CREATE": """
        request = function()
            n = n + 1
            local body = '{{"value":"' .. n .. filler .. '"}}'
            return wrk.format("PUT", path(n) .. "/made" .. run .. "/" .. n, headers, body)
        end
    """,
}

_SETTING = """
    local n = 0
    math.randomseed(os.time())
    local run = math.random(999999999)
    local filler = string.rep("x", {filler})
    local headers = {{["Content-Type"] = "application/json", ["X-Auth-Token"] = {token}}}
    local path = function(n)
        return "/v1/stacks/s" .. n % {stacks} .. "/facts/nodes/n" .. math.floor(n / {stacks}) % {facts}
    end
"""

# Keys and values of the gateway are base64: "/gateway/" and eight digits.
_GATEWAY = {
    "GET": """
        local n = 0
        request = function()
            n = n + 1
            local body = '{{"key":"{key}' .. string.format("%08d", n % {spread}) .. '"}}'
            return wrk.format("POST", "/v3/kv/range", nil, body)
        end
    """,
    "PUT": """
        local n = 0
        local filler = string.rep("x", {filler})
        request = function()
            n = n + 1
            local body = '{{"key":"{key}' .. string.format("%08d", n % {spread}) ..
                '","value":"' .. string.format("%032d", n) .. filler .. '"}}'
            return wrk.format("POST", "/v3/kv/put", nil, body)
        end
    """,
}

_HEARTBEAT = """
    local n = 0
    local headers = {{["Content-Type"] = "application/json", ["X-Auth-Token"] = {token}}}
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


class LoadError(Exception):
    """Some responses were errors, so the speed is meaningless."""


@dataclass(frozen=True)
class Target:
    """The URL and the script of a load."""

    url: str
    script: str


@dataclass(frozen=True)
class Load:
    """The result of a load."""

    requests: int
    per_second: float


def factstore(
    name: str,
    lab: Lab,
    *,
    value_bytes: int = VALUE_BYTES,
    fact: str = "ip",
    spread: int = SPREAD,
) -> Target:
    """Return the target for a GET, PUT or CREATE of a fact.

    :param fact: name of the fact to read, below each node.
    """
    setting = _SETTING.format(
        filler=max(0, value_bytes - 24),
        token=_token(lab),
        stacks=STACKS,
        facts=FACTS,
    )
    return Target(lab.url, setting + _FACTSTORE[name].format(name=fact, spread=spread))


def gateway(name: str, lab: Lab, *, value_bytes: int = VALUE_BYTES, spread: int = SPREAD) -> Target:
    """Return the target for the same operation on a key in etcd's JSON gateway; CREATE is a put."""
    filler = max(0, (value_bytes + 2) // 3 * 4 - 32)
    script = _GATEWAY["PUT" if name == "CREATE" else name]
    return Target(lab.etcd.endpoint, script.format(key=_KEY, filler=filler, spread=spread))


def heartbeat(lab: Lab, stack: str, generations: Mapping[str, str]) -> Target:
    """Return the target for heartbeats of the members in turn."""
    members = ",".join(f'{{"{name}","{value}"}}' for name, value in generations.items())
    return Target(lab.url, _HEARTBEAT.format(token=_token(lab), stack=stack, members=members))


def keep_alive(lab: Lab, leases: Iterable[int]) -> Target:
    """Return the target that renews the leases in etcd's JSON gateway."""
    numbers = ",".join(f'"{lease}"' for lease in leases)
    return Target(lab.etcd.endpoint, _KEEP_ALIVE.format(leases=numbers))


def _token(lab: Lab) -> str:
    return f'"{lab.token}"' if lab.token else "nil"


def find_wrk() -> str | None:
    """Return the path of wrk, or None."""
    return shutil.which("wrk")


def run(target: Target, seconds: int) -> Load:
    """Load a target with 64 connections.

    :raises LoadError: a response was not 2xx, or a connection failed.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(target.script)
        script.flush()
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}", "-s", script.name, target.url]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    wrong = re.search(r"(Non-2xx.*|Socket errors.*)", done.stdout)
    if wrong:
        raise LoadError(f"{Path(target.url).name}: {wrong[1]}")
    requests = int(re.search(r"(\d+) requests in", done.stdout)[1])
    return Load(requests, float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)[1]))
