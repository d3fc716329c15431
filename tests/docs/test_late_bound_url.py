"""The late-bound URL, which user data reads until the fact exists."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from factstore.cmd.processes.etcd import EtcdServer
from tests.docs.pages import code
from tests.docs.scripts import put, running, setting, shell, value
from tests.eventually import eventually
from tests.http import fresh_stack
from tests.service import ApiServer

LATE = "how-to/late-bound-url.rst"
CURL, WRITER, WGET, UNTIL = code(LATE, "shell")


@pytest.mark.parametrize("reader", [CURL, WGET], ids=["curl", "wget"])
def test_the_late_bound_url_is_one_line_on_either_side(stack: str, reader: str) -> None:
    given = f"{setting(stack)}set -e\n"
    writer = threading.Timer(0.3, shell, [given + WRITER], {"check": True})
    writer.start()
    done = shell(f'{given}{reader}\necho "$HEAD_IP"')
    writer.join()
    assert done.stdout == f"{value(stack, 'nodes/head/ip')}\n"


@pytest.mark.parametrize("reader", [CURL, WGET, UNTIL], ids=["curl", "wget", "loop"])
def test_the_late_bound_url_retries_after_a_timeout(stack: str, reader: str) -> None:
    brief = reader.replace("wait=50", "wait=1")
    script = f"{setting(stack)}factstore() {{ echo none; }}\n{brief}\necho $HEAD_IP"
    with running(script) as asking:
        assert asking.stderr is not None
        said = "format=raw:" if reader == WGET else "404"
        assert said in asking.stderr.readline()  # the first time is over
        put(stack, "nodes/head/ip", "10.0.0.5")
        assert asking.communicate(timeout=60)[0] == "10.0.0.5\n"


def test_the_late_bound_url_outlives_a_restart_of_the_service(
    etcd: EtcdServer, tmp_path: Path
) -> None:
    with ApiServer([etcd.endpoint], tmp_path) as api, ExitStack() as shells:
        stack = f"{api.url}/v1/stacks/{fresh_stack()}"
        put(stack, "other", 1)
        given = f"{setting(stack)}factstore() {{ echo none; }}\n"
        asking = {
            reader: shells.enter_context(running(f"{given}{reader}\necho $HEAD_IP"))
            for reader in (CURL, WGET, UNTIL)
        }
        eventually(lambda: connected(api) == len(asking))
        api.kill()
        api.start()
        put(stack, "nodes/head/ip", "10.0.0.5")
        for reader, process in asking.items():
            assert process.communicate(timeout=60)[0] == "10.0.0.5\n", reader


def connected(api: ApiServer) -> int:
    """Return the number of connections to a service."""
    port = f":{int(api.url.rpartition(':')[2]):04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(line.split()[1].endswith(port) and line.split()[3] == "01" for line in lines)


def test_wget_gives_up_on_a_mistake_at_once(stack: str) -> None:
    done = shell(setting(stack) + WGET.replace("head/ip", "head//ip"))
    assert (done.returncode, done.stdout) == (8, "")


def test_the_loop_gets_a_token_for_each_attempt(stack: str, tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    loop = UNTIL.replace("wait=50", "wait=0").replace("sleep 2", "sleep 0.1")
    tokens = f"factstore() {{ echo $1 >>{asked}; echo none; }}\n"
    with running(f"{setting(stack)}{tokens}{loop}\necho $HEAD_IP") as asking:
        eventually(lambda: asked.exists() and asked.read_text().startswith("token\ntoken\n"))
        put(stack, "nodes/head/ip", "10.0.0.5")
        assert asking.communicate(timeout=60)[0] == "10.0.0.5\n"


def test_the_user_data_waits_for_the_head_and_publishes_its_own_address(
    stack: str, tmp_path: Path
) -> None:
    (template,) = code(LATE, "yaml")
    document = yaml.safe_load(template.replace("2018-08-31", '"2018-08-31"'))
    replacing = document["resources"]["compute"]["properties"]["user_data"]["str_replace"]
    script = replacing["template"]
    given = {"stack_url": stack, "token": "none"}
    for name, reference in replacing["params"].items():
        script = script.replace(name, given[reference["get_param"]])
    assert script.startswith("#!/bin/bash\n")
    hosts = tmp_path / "hosts"
    with running(script.replace("/etc/hosts", str(hosts))) as booting:
        put(stack, "nodes/head/ip", "10.0.0.5")
        assert booting.wait(60) == 0
    assert hosts.read_text() == "10.0.0.5 head\n"
    name = shell("hostname").stdout.strip()
    assert value(stack, f"nodes/{name}/ip")
