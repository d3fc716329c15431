"""The commands of the how-to guides do what the text says, in the shells that readers use."""

from __future__ import annotations

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from factstore import client
from factstore.client.errors import NotFound
from tests.docs.pages import DOC, ROOT, code
from tests.docs.scripts import put, running, setting, shell, value
from tests.eventually import eventually
from tests.http import fresh_stack
from tests.service import ApiServer

WRITES = "how-to/conditional-writes.rst"
MEMBERS = "how-to/members.rst"
WAITERS = "how-to/waiters.rst"
WATCH = "how-to/watch.rst"
TURNS = "how-to/turns.rst"
STUCK = "how-to/stuck.rst"


# The Python client


def test_the_python_guide_runs_from_its_first_block_to_its_last(
    one_worker: ApiServer, capsys: pytest.CaptureFixture[str]
) -> None:
    program = "\n".join(code("how-to/python.rst", "python"))
    program = program.replace("http://127.0.0.1:8796", one_worker.url).replace(
        '"slurm"', f'"{fresh_stack()}"'
    )
    exec(compile(program, "python.rst", "exec"), {})
    assert capsys.readouterr().out.splitlines() == [
        "10.0.0.5",
        "c1 has not started yet",
        "('updated',) 0 ()",
        "1",
        "{'cores': 8, 'ip': '10.0.0.7'}",
        "is leader c1",
        "is nodes/c1/cores 8",
        "is nodes/c1/ip 10.0.0.7",
        "is nodes/head/ip 10.0.0.5",
        "c9 is unknown",
    ]


def test_the_reference_of_the_client_names_everything_that_it_exports() -> None:
    text = (DOC / "reference" / "client.rst").read_text()
    named = re.findall(r"^\.\. auto(?:class|function|exception):: (\w+)$", text, re.MULTILINE)
    assert sorted(named) == sorted(client.__all__)


# Turns


def test_a_turn_is_taken_shown_and_given_back_by_curl(stack: str) -> None:
    show, take, give_back = (block for block in code(TURNS, "shell") if "curl" in block)
    joined = requests.put(f"{stack}/members/c1", json={"group": "compute"}, timeout=60).json()
    given = f"{setting(stack)}GENERATION={joined['generation']}\nset -e -o pipefail\n"
    assert shell(given + take).returncode == 0
    held = shell(given + show.replace("compute", "backup")).stdout
    assert [each["state"] for each in json.loads(held)["turns"]] == ["holding"]
    assert shell(given + give_back).returncode == 0
    assert json.loads(shell(given + show).stdout) == {"turns": []}


# Waits


def test_a_circle_is_shown_and_broken_and_a_waiter_is_armed_by_curl(stack: str) -> None:
    show, write, arm = (block for block in code(STUCK, "shell") if "curl" in block)
    given = f"{setting(stack)}set -e -o pipefail\n"
    for member, path in (("c1", "nodes/head/ip"), ("head", "nodes/c1/munge_key")):
        body = {"group": "g", "ttl": 600}
        requests.put(f"{stack}/members/{member}", json=body, timeout=60).raise_for_status()
        missing = f"{stack}/facts/results/{member}/agent/missing"
        requests.put(missing, json={"value": [path]}, timeout=60).raise_for_status()
    found = json.loads(shell(given + show).stdout)
    page = " ".join((DOC / STUCK).read_text().split())
    assert found["stuck"]
    assert f'"detail": "{found["circles"][0]["detail"]}"' in page
    assert shell(given + write).returncode == 0
    assert not json.loads(shell(given + show).stdout)["stuck"]
    assert json.loads(shell(given + arm).stdout)["fail_when_stuck"] == 300


# Waiters


def test_services_that_need_each_other_wait_for_the_whole(stack: str) -> None:
    arm, compute, head, applied, wait, heat = code(WAITERS, "shell")

    def node(name: str, part: str) -> str:
        given = f"{setting(stack)}NAME={name} ADDRESS=10.0.0.1 HEAD=\nset -e\n"
        done = shell(given + part)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def state() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(node("", wait.replace("wait=50", "wait=0")))
        return found

    node("", arm)
    assert (state()["state"], state()["satisfied"]) == ("pending", 0)
    booting = [threading.Thread(target=node, args=(name, compute)) for name in ("c1", "c2")]
    for thread in booting:
        thread.start()
    context = node("head", head)
    assert context.rstrip().endswith("}")
    for thread in booting:
        thread.join()
    assert state()["missing"] == ["c1", "c2", "head"]  # converge is all that is left to do
    for name in ("head", "c1"):
        node(name, applied)
    assert state()["missing"] == ["c2"]
    node("c2", applied)
    ended = json.loads(node("", wait))
    while ended["state"] == "pending":
        ended = json.loads(node("", wait))
    assert ended["state"] == "met"
    node("", heat)
    installed = requests.get(f"{stack}/waiters/installed", timeout=60).json()
    assert (installed["satisfied"], installed["needed"]) == (1, 2)
    assert installed["signals"]["c1"]["data"] == "ok"


# Conditional writes


def test_conditional_writes_succeed_and_fail_as_documented(stack: str) -> None:
    create, change, batch, preview, clear, repeat, expire = code(WRITES, "shell")
    given = setting(stack)

    def statuses(script: str) -> list[str]:
        printed = shell(f"{given}{script}").stdout
        return [line.split()[1] for line in printed.splitlines() if line.startswith("HTTP/")]

    assert [statuses(create), statuses(create)] == [["201"], ["412"]]
    assert value(stack, "leader") == "head"
    stale = change.replace("ETAG=", "ETAG='\"0123456789abcdef.1\"' NOT=")
    assert stale != change
    assert [statuses(change), statuses(stale)] == [["200"], ["412"]]
    assert value(stack, "leader") == "c1"
    put(stack, "nodes/head/alive", "up")
    read = change.partition("\n")[0]
    first = json.loads(shell(f"{given}{read}\n{batch}").stdout)
    assert [result["outcome"] for result in first["results"]] == ["updated", "deleted"]
    put(stack, "maintenance", True)
    second = json.loads(shell(f"{given}{read}\n{batch}").stdout)
    assert second["status"] == 412
    assert value(stack, "leader") == "c2"
    dry_run, done = map(json.loads, shell(f"{given}{preview}").stdout.splitlines())
    assert [result["outcome"] for result in dry_run["results"]] == ["created"]
    assert done["results"][0]["fact"]["value"] == "no disk"
    put(stack, "nodes/head/ip", "10.0.0.5")
    cleared = json.loads(shell(f"{given}{clear}").stdout)
    assert (cleared["deleted"], cleared["revisions"]) == (1, 1)
    requests.delete(f"{stack}/facts/leader", timeout=60).raise_for_status()
    twice = f"{repeat}\n{repeat.partition(chr(10))[2]}"  # with one key
    assert shell(f"{given}set -e\n{twice}").returncode == 0
    assert shell(f"{given}{expire}").returncode == 0
    assert requests.get(f"{stack}/facts/nodes/c1/alive", timeout=60).json()["ttl"] == 60


# Members


def test_a_member_joins_lives_and_departs_as_documented(stack: str) -> None:
    blocks = code(MEMBERS, "shell")
    join, again, alive, bind, ready, apply, wait, read, readers, depart, lock, *_ = blocks
    steps = "\n".join(["set -e", join, again, alive, bind, ready, apply, "echo", wait])
    done = shell(f"{setting(stack)}{steps}")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["converged"]
    member = requests.get(f"{stack}/members/c1", timeout=60).json()
    assert (member["state"], member["version"]) == ("ready", 2)  # saying the same again was none
    started = requests.get(f"{stack}/facts/nodes/c1/services/slurmd", timeout=60).json()
    assert (started["value"], started["member"]) == ("started", "c1")
    given = f"{setting(stack)}GENERATION={member['generation']}\n"
    late = given.replace(member["generation"], "abc")
    assert shell(f"{late}{alive}").returncode == 22  # curl's for 400 and above
    assert shell(f"{late}{bind}").returncode == 22
    assert "digest" in json.loads(shell(f"{given}{read}").stdout)
    assert json.loads(shell(f"{given}{readers}").stdout)["members"][0]["name"] == "c1"
    assert shell(f"{given}{depart}").returncode == 0
    assert value(stack, "nodes/c1/services/slurmd") is None
    assert requests.get(f"{stack}/members/c1", timeout=60).status_code == 404
    assert [shell(f"{given}{lock}").returncode for _ in range(2)] == [0, 22]


def test_a_member_is_declared_found_and_removed_as_documented(stack: str) -> None:
    *_, declare, find, remove = code(MEMBERS, "shell")
    given = setting(stack)
    assert shell(given + declare).returncode == 22  # there is no stack
    assert requests.put(stack, json={}, timeout=60).status_code == 201
    for _ in range(2):
        assert shell(given + declare).returncode == 0
    (found,) = json.loads(shell(given + find).stdout)["members"]
    assert (found["name"], found["ttl"], found["reason"]) == ("c2", None, "scaled_out")
    other = declare.replace("server:8f6c2d1e", "server:other")
    assert shell(given + other).returncode == 22  # curl's for 400 and above
    assert shell(given + remove.replace("8f6c2d1e", "other")).returncode == 22
    assert shell(given + remove).returncode == 0
    assert json.loads(shell(given + find).stdout)["members"] == []


# Watching


def test_a_stream_by_hand_begins_with_a_snapshot_and_is_resumed(stack: str) -> None:
    put(stack, "nodes/head/ip", "10.0.0.5")
    begin, resume, many, _ = code(WATCH, "shell")
    with running(setting(stack) + begin) as stream:
        assert stream.stdout is not None
        lines = iter(stream.stdout.readline, "")
        last = next(line for line in lines if line.startswith("id: ")).strip()[4:]
    put(stack, "nodes/head/ip", "10.0.0.6")
    with running(f"{setting(stack)}LAST={last}\n{resume}") as stream:
        assert stream.stdout is not None
        lines = iter(stream.stdout.readline, "")
        assert next(line for line in lines if line.startswith("event: ")) == "event: change\n"
    service, _, name = stack.partition("/v1/stacks/")
    many = many.replace("http://controller:8796", service).replace("prod-*", f"{name[:-1]}?")
    with running(setting(stack) + many) as stream:
        assert stream.stdout is not None
        lines = iter(stream.stdout.readline, "")
        assert next(line for line in lines if line.startswith("event: ")) == "event: snapshot\n"
        assert json.loads(next(lines).removeprefix("data: "))["stack"] == name


def test_an_agent_converges_when_the_context_changes_and_only_then(
    stack: str, tmp_path: Path
) -> None:
    loop = code(WATCH, "shell")[-1].replace("wait=50", "wait=1").replace("sleep 5", "sleep 0.1")
    converge = f"converge() {{ cat $1 >>{tmp_path}/done; echo >>{tmp_path}/done; }}\n"
    done = tmp_path / "done"

    def contexts() -> list[Any]:
        text = done.read_text() if done.exists() else ""
        return [json.loads(line)["facts"] for line in text.splitlines() if line]

    with running(setting(stack) + converge + loop, cwd=tmp_path):
        put(stack, "a", 1)
        eventually(lambda: contexts() == [{"a": 1}])
        put(stack, "results/x", 1)  # wakes nobody
        put(stack, "a", 2)
        eventually(lambda: len(contexts()) > 1)
        requests.delete(stack, timeout=60).raise_for_status()
    assert contexts() == [{"a": 1}, {"a": 2}]


def test_a_mirror_converges_after_each_change(
    stack: str, one_worker: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OS_AUTH_TYPE", "none")
    monkeypatch.setenv("OS_ENDPOINT", one_worker.url)
    put(stack, "a", 1)
    (text,) = code(WATCH, "python")
    shown: list[Any] = []
    script = text.replace('"slurm"', repr(stack.rpartition("/")[2]))
    with ThreadPoolExecutor(1) as threads:
        following = threads.submit(exec, script, {"print": shown.append})
        eventually(lambda: shown == [{"a": 1}])
        put(stack, "b/c", 2)
        eventually(lambda: shown == [{"a": 1}, {"a": 1, "b": {"c": 2}}])
        requests.delete(stack, timeout=60).raise_for_status()
        with pytest.raises(NotFound):
            following.result(timeout=60)


def test_every_client_of_the_watch_is_shown() -> None:
    examples = ROOT / "examples" / "watch"
    files = [file for file in examples.rglob("*") if file.is_file() and file.suffix != ".md"]
    text = (DOC / WATCH).read_text()
    shown = {line.split(":: ")[1] for line in text.splitlines() if "literalinclude" in line}
    assert {(DOC / "how-to" / name).resolve() for name in shown} == {
        file.resolve() for file in files if "__pycache__" not in file.parts
    }
