"""The Slurm example behaves as its README says."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from factstore.agent.config import settings
from factstore.client import Stack, connect, errors
from factstore.cmd.processes.ports import free_port
from factstore.cmd.processes.process import Child
from tests.agents import agent_argv, programs
from tests.eventually import eventually
from tests.http import fresh_stack
from tests.service import ApiServer

EXAMPLE = Path(__file__).parents[2] / "examples" / "slurm"
NODES = ["head", *(f"c{number}" for number in range(1, 4))]


def command(stack: str, *options: str) -> list[str]:
    """Return the command of a cluster whose nodes start at the same time."""
    program = [sys.executable, str(EXAMPLE / "cluster.py")]
    return [*program, "--stack", stack, "--spread", "0", *options]


def run(environ: dict[str, str], stack: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the cluster until it ends."""
    return subprocess.run(
        command(stack, *options), env={**os.environ, **environ}, capture_output=True, text=True
    )


@pytest.fixture
def environ(environ: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """Return the environment, with ``factstore-agent`` on the path."""
    return {**environ, "PATH": programs(tmp_path / "bin")}


@pytest.fixture
def stack(environ: dict[str, str]) -> Stack:
    """Return a stack that does not exist yet."""
    return connect(environ).stack(fresh_stack())


def test_nodes_that_need_each_other_converge_as_some_join_restart_and_die(
    environ: dict[str, str], stack: Stack, tmp_path: Path
) -> None:
    """The program itself checks that the waiter ends once each time it is armed."""
    output = tmp_path / "output"
    options = [
        "--computes=2",
        "--join=1",
        "--restart=1",
        "--kill=1",
        "--keep",
        f"--output={output}",
    ]
    cluster = Child("cluster.py")
    cluster.start(
        command(stack.name, *options),
        log_path=tmp_path / "printed",
        env={**os.environ, **environ},
    )

    def printed() -> str:
        return (tmp_path / "printed").read_text()

    try:
        cluster.wait_until(lambda: "until Ctrl-C" in printed(), 240)
        dead = set(re.findall(r" (c\d) +is given up for dead", printed()))
        assert len(dead) == 1
        all_agree(stack, output, [name for name in NODES if name not in dead])
    finally:
        cluster.send_signal(signal.SIGTERM)
        ended = cluster.wait(60)
        cluster.kill()
    assert ended == 0, printed()
    assert re.findall(r"all (\d) agree", printed()) == ["3", "4", "4", "3"]
    assert "nobody was woken" in printed()
    assert "was armed 4 times, and ended: met, met, met, met" in printed()


def all_agree(stack: Stack, output: Path, names: list[str]) -> None:
    """Check that the head and the compute nodes have one slurm.conf, published with their grants."""
    texts = {name: (output / name / "slurm.conf").read_text() for name in names}
    assert len(set(texts.values())) == 1
    conf = texts["head"]
    assert re.findall(r"^SlurmctldHost=(.*)$", conf, re.M) == ["head(198.18.0.1)"]
    computes = names[1:]
    assert re.findall(r"^NodeName=(\S+) NodeAddr=(\S+) CPUs=\d+ ", conf, re.M) == [
        (name, f"198.18.0.{10 + int(name[1:])}") for name in computes
    ]
    assert f"PartitionName=compute Nodes={','.join(computes)} " in conf

    context = stack.context(results=True)
    nodes = context.facts["nodes"]
    assert nodes.keys() == set(names)
    assert nodes["head"]["services"] == {"slurmctld": "started"}
    assert all(nodes[name]["services"] == {"slurmd": "started"} for name in computes)
    told = [context.facts["results"][name]["slurm.conf"] for name in names]
    assert all(result == told[0] for result in told)
    assert told[0] == {
        "sha256": hashlib.sha256(conf.encode()).hexdigest(),
        "computes": len(computes),
    }

    grants = {grant.id: (grant.member, grant.group) for grant in stack.grants()}
    assert sorted(grants.values()) == [
        (name, "head" if name == "head" else "compute") for name in sorted(NODES)
    ]
    for fact in stack.snapshot("nodes").facts:
        writer = fact.updated_by.removeprefix("grant:")
        assert grants[writer][0] == fact.member == fact.path.split("/")[1]


def test_many_nodes_in_two_processes_agree_after_each_step(
    environ: dict[str, str], api: ApiServer
) -> None:
    program = [sys.executable, str(EXAMPLE / "simulate.py"), "--url", api.url]
    program.append(f"--worker={os.getpid()}")  # any process of this machine
    done = subprocess.run(
        [
            *program,
            "--nodes=12",
            "--join=3",
            "--kill=2",
            "--settle=0.2",
            "--patience=1",
            "--progress=0",
        ],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^13 come to 0: \d+ of \d+ conditions are met$", done.stderr, re.M)
    assert "13 come to 0: agreed; waiting for the requests of" in done.stderr
    row = re.compile(
        r"^ 0\.2 s   (.+?)  +[\d.]+  +([\d.]+) \( *\d+\)  +(\d+) +\d+ +0 .* +\d+\.\d, +[1-9]\d*$",
        re.M,
    )
    found = {
        what: (float(renders), int(woken)) for what, renders, woken in row.findall(done.stdout)
    }
    assert list(found) == [
        "13 come to 0",
        "3 come to 13",
        "a fact changes that all read",
        "a fact changes that 3 read",
        "2 come and are killed",
    ]
    assert found["13 come to 0"][1] == 13
    assert found["a fact changes that all read"] == (1, 16)
    renders, woken = found["a fact changes that 3 read"]
    assert renders == 0
    assert woken <= 3, "less if their requests have just ended"


def test_simulated_nodes_read_before_one_of_them_acts() -> None:
    program = """
import share, threading
share.HttpSession.request = lambda session, name: print("reads", name)
share.read_first()
begin = threading.Event()
def node(name):
    begin.wait()
    share.HttpSession.request(None, name)
    print("acts", name)
threads = [threading.Thread(target=node, args=name) for name in "ab"]
for each in threads: each.start()
begin.set()
for each in threads: each.join()
"""
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=EXAMPLE, capture_output=True, text=True, check=True
    )
    assert found.stdout.split("\n") == ["reads a", "reads b", "acts a", "acts b", ""]


def test_simulated_nodes_end_with_the_program_that_started_them(tmp_path: Path) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"  # without a service, they try again
    done = subprocess.run(
        [sys.executable, str(EXAMPLE / "share.py"), "slurm", str(tmp_path), "0.2", "1", "30"],
        env={**os.environ, "OS_AUTH_TYPE": "none", "OS_ENDPOINT": nowhere},
        input='["head"]\n',
        text=True,
        timeout=90,
    )
    assert done.returncode == 0


def test_a_cluster_leaves_no_stack_behind(environ: dict[str, str], stack: Stack) -> None:
    done = run(environ, stack.name, "--computes", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    with pytest.raises(errors.NotFound):
        stack.describe()


def test_a_stack_that_exists_is_left_alone(environ: dict[str, str], stack: Stack) -> None:
    stack.put("mine", "precious")
    done = run(environ, stack.name)
    assert done.returncode == 1
    assert "exists already" in done.stderr
    assert stack.get("mine").value == "precious"


def test_a_failed_node_is_reported_and_fails_the_cluster(
    environ: dict[str, str], stack: Stack, tmp_path: Path
) -> None:
    (tmp_path / "c1" / "slurm.conf").mkdir(parents=True)  # so that c1 cannot write the file
    done = run(environ, stack.name, "--computes", "2", "--output", str(tmp_path))
    assert done.returncode == 1
    assert (
        "cluster-ready is failed: the failure condition is met: results/c1/agent/state"
        in done.stdout
    )


@pytest.fixture
def head(environ: dict[str, str], stack: Stack, tmp_path: Path) -> Iterator[Path]:
    """Run the agent of a head node in a directory that is made by hand from the example's files."""
    directory = tmp_path / "head"
    for part in ("templates", "hooks.d"):
        shutil.copytree(EXAMPLE / "etc" / part, directory / part)
    (directory / "facts.d").mkdir()
    (directory / "facts.d" / "node.json").write_text('{"ip": "10.0.0.5"}')
    (directory / "agent.conf").write_text(
        f"[agent]\nstack = {stack.name}\nmember = head\ngroup = head\n"
        f"state_dir = {directory}/state\nend_with_stack = yes\n"
        f"[service]\nurl = {environ['OS_ENDPOINT']}\n"
        f"[facts]\ndirectory = {directory}/facts.d\nbuiltin =\n"
        f"[react]\nhooks = {directory}/hooks.d\nsettle = 0.1\nrun_hooks = files\n"
        "[template slurm.conf]\nsource = slurm.conf.j2\n"
        f"destination = {directory}/slurm.conf\n"
    )
    env = {**os.environ, **environ, "SLURM_CONF": str(directory / "slurm.conf")}
    agent = Child("agent head")
    agent.start(
        [*agent_argv(directory / "agent.conf"), "run"], log_path=tmp_path / "agent.log", env=env
    )
    try:
        yield directory
        stack.delete_stack()
        assert agent.wait(90) == 0  # it ends with its stack
    finally:
        agent.kill()


def test_no_fact_adds_a_line_to_the_file(stack: Stack, head: Path) -> None:
    told: dict[str, dict[str, object]] = {
        "c1": {"ip": "10.0.0.1", "cpus": 4},
        "c2": {"ip": "10.0.0.2"},
        "c3": {"ip": "fe80::1%a\nInclude evil", "cpus": 4},
        "c4": {"ip": "fe80::1%a", "cpus": 4},
        "c5": {"ip": 167772161, "cpus": 4},
        "c6": {"ip": ["10.0.0.6"], "cpus": True},
        "c7": {"ip": "10.0.0.7", "cpus": 0},
        "c8": {"ip": "10.0.0.8", "cpus": "4\nInclude /etc/passwd"},
        "c9": {"ip": "10.0.0.9 CPUs=1\nInclude /etc/passwd", "cpus": 4},
        "NoName": {"ip": "10.0.0.10", "cpus": 4},
        "no_name": {"ip": "10.0.0.11", "cpus": 4},
        "no.name": {"ip": "10.0.0.12", "cpus": 4},
        "items": {"cpus": 4},
    }
    for name, facts in told.items():
        stack.member(name).join("compute", ttl=300)
        for path, value in facts.items():
            stack.put(f"nodes/{name}/{path}", value)
    stack.member("c10").join("compute", ttl=300)
    stack.put("nodes/c10", "10.0.0.10")
    stack.member("c11").join("other", ttl=300)  # its grant let it into no other group
    stack.put("nodes/c11", {"ip": "10.0.0.11", "cpus": 4})
    stack.put("nodes/c12", {"ip": "10.0.0.12", "cpus": 4})  # no member
    stack.member("c13").join("head", ttl=300)
    stack.put("nodes/c13/ip", "10.0.0.13 evil")
    stack.wait("results/head/slurm.conf", timeout=60)
    eventually(lambda: stack.convergence(group="head").lagging == ("c13",), 60)
    conf = (head / "slurm.conf").read_text()
    assert "Include" not in conf
    assert "evil" not in conf
    assert re.findall(r"^NodeName=(.*)", conf, re.M) == [
        "c1 NodeAddr=10.0.0.1 CPUs=4 State=UNKNOWN"
    ]
    assert re.findall(r"^SlurmctldHost=(.*)", conf, re.M) == ["head(10.0.0.5)"]
    written = stack.get("results/head/slurm.conf").value
    assert written == {"sha256": hashlib.sha256(conf.encode()).hexdigest(), "computes": 1}


def test_the_agent_accepts_the_configuration_in_the_readme(tmp_path: Path) -> None:
    readme = (EXAMPLE / "README.md").read_text()
    (block,) = re.findall(r"^    \[agent\]\n(?:(?:    .*)?\n)+", readme, re.M)
    (tmp_path / "agent.conf").write_text(textwrap.dedent(block))
    read = settings.load_settings(tmp_path / "agent.conf")
    assert read.agent.group == "compute"
    template = read.templates["slurm.conf"]
    assert template.source.name in os.listdir(EXAMPLE / "etc" / "templates")
    hook = (EXAMPLE / "etc" / "hooks.d" / "10-slurm").read_text()
    assert f"{{SLURM_CONF:-{template.destination}}}" in hook
