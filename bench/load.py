"""Load by wrk: the same four requests for both sides, as Lua that wrk runs."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.lab import FACTS, STACKS, Lab

CONNECTIONS = 64

_SCRIPTS = {
    ("factstore", "GET"): f"""
        local n = 0
        request = function()
            n = n + 1
            local path = "/v1/stacks/s" .. n % {STACKS} .. "/facts/nodes/n" ..
                math.floor(n / {STACKS}) % {FACTS} .. "/ip"
            return wrk.format("GET", path)
        end
    """,
    ("factstore", "PUT"): f"""
        local n = 0
        math.randomseed(os.time())  -- a value that is there already would not be written
        local headers = {{["Content-Type"] = "application/json"}}
        request = function()
            n = n + 1
            local path = "/v1/stacks/s" .. n % {STACKS} .. "/facts/nodes/n" ..
                math.floor(n / {STACKS}) % {FACTS} .. "/load"
            local value = string.format("%024d-%012d", n, math.random(999999999))
            return wrk.format("PUT", path, headers, '{{"value":"' .. value .. '"}}')
        end
    """,
    # Keys and values are base64: "/gateway/" and eight digits.
    ("gateway", "GET"): """
        local n = 0
        request = function()
            n = n + 1
            local body = '{"key":"L2dhdGV3YXkv' .. string.format("%08d", n % 1000) .. '"}'
            return wrk.format("POST", "/v3/kv/range", nil, body)
        end
    """,
    ("gateway", "PUT"): """
        local n = 0
        request = function()
            n = n + 1
            local body = '{"key":"L2dhdGV3YXkv' .. string.format("%08d", n % 1000) ..
                '","value":"' .. string.format("%052d", n) .. '"}'
            return wrk.format("POST", "/v3/kv/put", nil, body)
        end
    """,
}


class LoadError(Exception):
    """Some answers were wrong, so that the speed says nothing."""


@dataclass(frozen=True)
class Target:
    """What to load, with which script."""

    url: str
    script: str


@dataclass(frozen=True)
class Load:
    """What came of it."""

    requests: int
    per_second: float


def factstore(name: str, lab: Lab) -> Target:
    """Our GET or PUT of a fact."""
    return Target(lab.url, _SCRIPTS["factstore", name])


def gateway(name: str, lab: Lab) -> Target:
    """The same of a key, through etcd's JSON gateway."""
    return Target(lab.etcd.endpoint, _SCRIPTS["gateway", name])


def find_wrk() -> str | None:
    """Where wrk is."""
    return shutil.which("wrk")


def run(target: Target, seconds: int) -> Load:
    """Load a target with 64 connections.

    :raises LoadError: an answer was not 2xx, or a connection failed.
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
