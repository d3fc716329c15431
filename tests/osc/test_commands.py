"""The other commands ``openstack fact ...``, in the process of the test, against a service."""

from __future__ import annotations

import io
import re
import shlex
import subprocess
import threading
from pathlib import Path

import pytest

from factstore.client import Client, Put, Stack, connect
from tests.commands import program
from tests.docs.pages import ROOT
from tests.osc.shell import Shell
from tests.service import ApiServer

# Waiting


def test_waiting_for_a_fact_shows_it(openstack: Shell, stack: Stack) -> None:
    later = threading.Timer(0.2, stack.put, ("nodes/head/ip", "10.0.0.5"))
    later.start()
    fact = openstack.json("fact", "wait", stack.name, "nodes/head/ip")
    later.join()
    assert fact["value"] == "10.0.0.5"
    error = openstack.refused("fact", "wait", stack.name, "nodes/c1", "--timeout", "0", status=2)
    assert "'nodes/c1'" in error


def test_waiting_for_a_condition_shows_what_is_missing_and_failing(
    openstack: Shell, stack: Stack
) -> None:
    stack.batch([Put("nodes/c1/state", "up"), Put("nodes/c2/state", "down"), Put("n", 3)])
    pattern = ("fact", "wait", stack.name, "nodes/*/state", "-f", "json")
    met = openstack(*pattern, "--equals", "up", "--fail-on", "broken")
    assert (met.status, met.json["state"]) == (0, "met")
    late = openstack(*pattern, "--equals", "up", "--count", "2", "--timeout", "1")
    assert (late.status, late.json["state"], late.json["satisfied"]) == (2, "timed_out", 1)
    failed = openstack(*pattern, "--count", "3", "--fail-on", "down")
    assert (failed.status, failed.json["failing"]) == (1, ["nodes/c2/state"])
    number = openstack("fact", "wait", stack.name, "n", "--equals", "3", "--json", "-f", "json")
    assert (number.status, number.json["needed"]) == (0, 1)
    openstack.ok("fact", "wait", stack.name, "n", "--at-least", "-1", "--at-most", "3.5")
    openstack.ok("fact", "wait", stack.name, "nodes/*/state", "--match", "*o?n")
    openstack.ok(
        "fact", "wait", stack.name, "nodes/c1/state", "--one-of", "ready", "--one-of", "up"
    )
    assert list(stack.waiters()) == []


def test_waiting_for_a_waiter_or_convergence(openstack: Shell, stack: Stack) -> None:
    name = stack.name
    stack.put("a", 1)
    stack.waiter("ready").arm({"signals": 1})
    ready = ("fact", "waiter", "wait", name, "ready", "-f", "json")
    pending = openstack(*ready, "--timeout", "0")
    assert (pending.status, pending.json["state"]) == (2, "pending")
    stack.waiter("ready").signal()
    assert openstack(*ready).status == 0
    assert "no waiter" in openstack.refused("fact", "waiter", "wait", name, "missing")
    member = stack.member("c1")
    member.join("compute", ttl=300)
    converged = ("fact", "convergence", "wait", name, "-f", "json")
    lagging = openstack(*converged, "--timeout", "0")
    assert (lagging.status, lagging.json["lagging"]) == (2, ["c1"])
    member.heartbeat(applied=stack.context().cursor)
    assert openstack(*converged, "--group", "compute").json["converged"] is True


# Everything else


def test_stacks(openstack: Shell, stack: Stack) -> None:
    name = stack.name
    created = openstack.json("fact", "stack", "create", name, "--description", "one")
    assert (created["name"], created["description"]) == (name, "one")
    assert "exists" in openstack.refused("fact", "stack", "create", name)
    openstack.ok("fact", "stack", "set", name, "--description", "two")
    openstack.ok("fact", "stack", "set", name, "--keep-values", "2")
    shown = openstack.json("fact", "stack", "show", name)
    assert (shown["description"], shown["keep_values"]) == ("two", 2)
    assert "Nothing to set" in openstack.refused("fact", "stack", "set", name, status=2)
    assert "from 0 to 10" in openstack.refused("fact", "stack", "set", name, "--keep-values", "11")
    openstack.ok("fact", "set", name, "a", "1")
    shown = openstack.json("fact", "stack", "show", name)
    assert (shown["description"], shown["usage"]["facts"]) == ("two", 1)
    assert name in openstack.ok("fact", "stack", "list", "-f", "value", "-c", "Name").split()
    assert openstack.json("fact", "context", "show", name)["facts"] == {"a": "1"}
    openstack.ok("fact", "stack", "delete", name)
    assert name not in openstack.ok("fact", "stack", "list", "--long")
    assert openstack.refused("fact", "stack", "set", name, "--description", "three")


def test_members_and_read_sets(openstack: Shell, stack: Stack) -> None:
    name = stack.name
    stack.put("a", 1)
    joined = openstack.json(
        *("fact", "member", "create", name, "c1", "--group", "compute", "--ttl", "300"),
        *("--attribute", "zone=z1"),
    )
    assert (joined["ttl"], joined["attributes"]) == (300, {"zone": "z1"})
    declare = ("--group", "head", "--declared", "server-1")
    assert openstack.json("fact", "member", "create", name, "h", *declare)["declared"] == "server-1"
    ages = {
        m: openstack.json("fact", "member", "show", name, m)["heartbeat_age"] for m in ("c1", "h")
    }
    assert ages["c1"] >= 0
    assert ages["h"] is None
    openstack.ok("fact", "member", "set", name, "c1", "--state", "ready")
    openstack.ok("fact", "member", "set", name, "h", "--state", "draining")
    listed = openstack.json("fact", "member", "list", name)
    assert [(m["Name"], m["State"]) for m in listed] == [("c1", "ready"), ("h", "draining")]
    (one,) = openstack.json("fact", "member", "list", name, "--declared", "server-1", "--long")
    assert (one["Name"], one["Group"]) == ("h", "head")
    read = ("fact", "read", "set")
    stored = openstack.json(*read, "create", name, "c1", "--fact", "x/", "--member", "h")
    assert openstack.json(*read, "show", name, "c1") == stored
    assert (stored["facts"], stored["members"]) == (["x/"], ["h"])
    reading = openstack.json("fact", "member", "list", name, "--reads", "a")
    assert [member["Name"] for member in reading] == ["h"]
    openstack.ok(*read, "delete", name, "c1")
    assert openstack.refused(*read, "show", name, "c1")
    assert openstack.json("fact", "convergence", "show", name)["lagging"] == ["c1"]
    openstack.ok("fact", "member", "delete", name, "c1", "h", "--reason", "scaled_in")
    assert openstack.refused("fact", "member", "show", name, "c1")


def test_waiters_alarms_grants_subscriptions_turns_and_limits(
    openstack: Shell, stack: Stack, one_worker: ApiServer, tmp_path: Path
) -> None:
    name = stack.name
    arm = ("fact", "waiter", "create", name, "w", "--success", '{"signals": 2}')
    assert openstack.json(*arm, "--timeout", "60")["state"] == "pending"
    assert "exists" in openstack.refused(*arm, "--if-absent")
    signal = ("fact", "waiter", "signal", name, "w", "--id", "1", "--data", '{"x": 1}')
    assert openstack.json(*signal)["satisfied"] == 1
    shown = openstack.json("fact", "waiter", "show", name, "w")
    assert shown["signals"]["1"]["data"] == {"x": 1}
    assert [w["Name"] for w in openstack.json("fact", "waiter", "list", name)] == ["w"]
    openstack.ok("fact", "waiter", "delete", name, "w", "missing")
    condition = '{"facts": "n/*", "present": true, "count": 3}'
    alarm = ("fact", "alarm", "set", name, "a", condition, "--for", "5", "--no-data", "ok")
    assert openstack.json(*alarm, "--repeat", "60", "--if-absent")["for"] == 5
    assert openstack.json("fact", "alarm", "show", name, "a")["current"]["met"] is False
    assert [(a["Name"], a["State"]) for a in openstack.json("fact", "alarm", "list", name)] == [
        ("a", "ok")
    ]
    openstack.ok("fact", "alarm", "delete", name, "a", "missing")
    _check_configurations(openstack, stack, tmp_path)

    grant = openstack.json("fact", "grant", "create", name, "--role", "reader", "--ttl", "600")
    held = connect(one_worker.url.replace("//", f"//{grant['token'].replace('.', ':')}@"))
    assert isinstance(held, Client)
    assert held.stack(name).context().facts == {}
    renewed = openstack.json("fact", "grant", "renew", name, grant["id"], "--ttl", "900")
    assert renewed["ttl"] == 900
    assert "token" not in openstack.json("fact", "grant", "show", name, grant["id"])
    assert [g["ID"] for g in openstack.json("fact", "grant", "list", name)] == [grant["id"]]
    openstack.ok("fact", "grant", "delete", name, grant["id"])
    assert openstack.json("fact", "grant", "list", name) == []

    of = ("fact", "subscription")
    made = openstack.json(*of, "create", "zaqar:?queue_name=q", "--name", name, "--stack", "a*")
    assert (made["state"], made["stacks"]) == ("active", ["a*"])
    assert made["secret"].startswith("whsec_")
    openstack.ok(*of, "set", made["id"], "--group", "g", "--max-events", "5", "--pause")
    shown = openstack.json(*of, "show", made["id"])
    assert (shown["state"], shown["groups"], shown["max_events"]) == ("paused", ["g"], 5)
    assert "secret" not in shown
    openstack.ok(*of, "unset", made["id"], "--group", "--stack")
    openstack.ok(*of, "set", made["id"], "--resume")
    assert openstack.json(*of, "test", made["id"])["delivery"]["tests_pending"] == 1
    again = openstack.json(*of, "replay", made["id"], made["delivery"]["cursor"])
    assert (again["groups"], again["stacks"], again["state"]) == ([], ["*"], "active")
    assert openstack.json(*of, "confirm", made["id"], "x")["state"] == "active"
    rotated = openstack.json(*of, "rotate", made["id"], "--overlap", "60")
    assert rotated["secret"] != made["secret"]
    assert openstack.json(*of, "delivery", "list", made["id"]) == []
    assert made["id"] in {each["ID"] for each in openstack.json(*of, "list")}
    openstack.ok(*of, "delete", made["id"], "0" * 32)
    assert openstack.refused(*of, "show", made["id"])

    stack.member("c1").join("compute", ttl=300)
    stack.member("c2").join("compute", ttl=300)
    for member in ("c1", "c2"):
        stack.turn("restart", member).take()
    turn, _ = openstack.json("fact", "turn", "list", name, "--queue", "restart")
    assert (turn["Member"], turn["State"], turn["Position"]) == ("c1", "holding", 1)
    stuck = openstack.json("fact", "stuck", name)
    assert (stuck["stuck"], stuck["circles"], stuck["never"]) == (False, [], [])
    (line,) = stuck["waits"]
    assert line.startswith("member c2: waits for its turn in queue restart, held by c1, since 20")
    openstack.ok("fact", "turn", "delete", name, "restart", "c2")
    stack.put("results/c1/agent/missing", ["nodes/c9/ip"])
    result = openstack("fact", "stuck", name, "-f", "json")
    assert result.status == 3
    (never,) = result.json["never"]
    assert never["detail"].startswith("c1 waits for nodes/c9/ip, but member c9 does not exist")
    assert "declare the member" in never["remedy"]
    (line,) = result.json["waits"]
    assert line.startswith("member c1: its template needs nodes/c9/ip, written by c9, since 20")
    openstack.ok("fact", "turn", "delete", name, "restart", "c1")
    assert openstack.json("fact", "turn", "list", name) == []

    rows = {row["Name"]: row for row in openstack.json("fact", "limits", "show")}
    assert rows["facts"]["Limit"] >= rows["facts"]["Usage"]


def _check_configurations(openstack: Shell, stack: Stack, directory: Path) -> None:
    (directory / "script").write_text("exit 0")
    of = ("fact", "config")
    put = (*of, "set", stack.name, "c1/app", "script", "--from-file", str(directory / "script"))
    more = ("--input", "port=80", "--input", "user=me", "--input-fact", "pw=a/b", "--output", "url")
    made = openstack.json(*put, *more, "--depends-on", "head/db", "--timeout", "9", "--if-absent")
    assert (made["config"], made["inputs"]) == ("exit 0", {"port": 80, "user": "me"})
    assert (made["input_facts"], made["outputs"], made["timeout"]) == ({"pw": "a/b"}, ["url"], 9)
    (row,) = openstack.json(*of, "list", stack.name, "--member", "c1")
    assert (row["Configuration"], row["State"], row["Waits For"]) == (
        "c1/app",
        "waiting",
        "head/db",
    )
    circle = (*of, "set", stack.name, "head/db", "script", "--depends-on", "c1/app")
    assert "c1/app depends on head/db" in openstack.refused(*circle)
    stack.configuration("c1", "app").report(made["id"], "failed", reason="no disk", status_code=3)
    shown = openstack.json(*of, "show", stack.name, "c1/app", "--wait")
    assert (shown["state"], shown["result"]["reason"]) == ("failed", "no disk")
    assert "<member>/<name>" in openstack.refused(*of, "show", stack.name, "app", status=2)
    openstack.ok(*of, "delete", stack.name, "c1/app", "c1/missing")
    assert openstack.json(*of, "list", stack.name) == []


# The guides


@pytest.mark.parametrize("page", ["README.md", "doc/source/how-to/openstack-client.rst"])
def test_the_commands_of_the_guides_succeed(
    openstack: Shell, stack: Stack, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.put("nodes/c1/slurmd", "started")
    monkeypatch.setattr("sys.stdin", io.StringIO("hunter2"))
    text = (ROOT / page).read_text()
    found = re.findall(
        r"^(?: {3,4})(?:.*[|(])? ?(?:openstack) (fact [^|)#\n]*)", text, re.MULTILINE
    )
    assert len(found) >= 3
    for command in found:
        words = [stack.name if word == "slurm" else word for word in shlex.split(command)]
        if "watch" in words:
            words = ["fact", "watch", "--help"]  # it would not end
        if "convergence" in words:
            member = stack.member("c1")
            member.join("compute", ttl=300)
            member.heartbeat(applied=stack.context().cursor)
        openstack.ok(*words)


# Credentials


def test_a_grant_in_the_endpoint_is_the_credential(
    openstack: Shell, stack: Stack, one_worker: ApiServer
) -> None:
    stack.put("a", 1)
    token = openstack.json("fact", "grant", "create", stack.name, "--role", "reader")["token"]
    identifier, secret = token.split(".")
    url = one_worker.url.replace("//", f"//{identifier}:{secret}@")
    holder = Shell("--os-auth-type", "none", "--os-endpoint", url)
    assert [fact["Path"] for fact in holder.json("fact", "list", stack.name)] == ["a"]
    refused = holder.refused("fact", "set", stack.name, "a", "2")
    assert refused
    assert secret not in refused
    basic = Shell(
        *("--os-auth-type", "http_basic", "--os-endpoint", one_worker.url),
        *("--os-username", identifier, "--os-password", secret),
    )
    assert basic.json("fact", "get", stack.name, "a")["value"] == 1


def test_without_an_endpoint_the_error_states_the_remedy() -> None:
    error = Shell("--os-auth-type", "none").refused("fact", "stack", "list")
    assert "--os-endpoint" in error


def test_the_endpoint_override_of_clouds_yaml_is_used(
    stack: Stack, one_worker: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.put("a", 1)
    clouds = tmp_path / "clouds.yaml"
    clouds.write_text(
        "clouds: {lab: {auth_type: none, auth: {endpoint: 'http://127.0.0.1:1'},"
        f" contextualization_endpoint_override: '{one_worker.url}'}}}}\n"
    )
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(clouds))
    assert Shell("--os-cloud", "lab").json("fact", "get", stack.name, "a")["value"] == 1


def test_completion_knows_the_commands() -> None:
    # A process of its own, because it imports the plugins of all projects.
    command = [*program("openstackclient.shell"), "complete"]
    completion = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "cmds_fact=" in completion
    for name in ("set", "waiter", "read_set_show"):
        assert f"cmds_fact_{name}=" in completion
