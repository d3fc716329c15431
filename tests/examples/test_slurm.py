"""The Slurm example does what its README says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from factstore.client import Stack, connect, errors
from tests.calling import fresh_stack
from tests.service import ApiServer

EXAMPLE = Path(__file__).parents[2] / "examples" / "slurm"
NODES = ["head", *(f"c{number}" for number in range(1, 8))]


def run(environ: dict[str, str], stack: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the cluster to its end; its nodes start all at once."""
    command = [sys.executable, str(EXAMPLE / "cluster.py"), "--stack", stack, "--spread", "0"]
    return subprocess.run(
        [*command, *options], env={**os.environ, **environ}, capture_output=True, text=True
    )


@pytest.fixture
def stack(environ: dict[str, str]) -> Stack:
    """A stack that does not exist yet."""
    return connect(environ).stack(fresh_stack())


def test_nodes_that_need_one_another_converge_and_take_in_joiners(
    environ: dict[str, str], stack: Stack, tmp_path: Path
) -> None:
    """And every arming of the waiter ends once, as the program itself makes sure."""
    options = ["--computes", "5", "--join", "2", "--keep", "--output", str(tmp_path)]
    done = run(environ, stack.name, *options)
    assert done.returncode == 0, done.stdout + done.stderr

    texts = {name: (tmp_path / name / "slurm.conf").read_text() for name in NODES}
    assert len(set(texts.values())) == 1
    conf = texts["head"]
    assert re.findall(r"^SlurmctldHost=(.*)$", conf, re.M) == ["head(198.51.100.1)"]
    computes = NODES[1:]
    assert re.findall(r"^NodeName=(\S+) NodeAddr=(\S+) CPUs=\d+ ", conf, re.M) == [
        (name, f"198.51.100.{10 + number}") for number, name in enumerate(computes, 1)
    ]
    assert f"PartitionName=compute Nodes={','.join(computes)} " in conf

    context = stack.context(results=True)
    nodes = context.facts["nodes"]
    assert nodes.keys() == set(NODES)
    assert nodes["head"]["services"] == {"slurmctld": "started"}
    assert all(nodes[name]["services"] == {"slurmd": "started"} for name in computes)
    told = [context.facts["results"][name]["slurm.conf"] for name in NODES]
    assert all(result == told[0] for result in told)
    assert told[0]["computes"] == 7

    assert "all 6 agree" in done.stdout
    assert "all 8 agree" in done.stdout
    assert "was armed 2 times, and ended: met, met" in done.stdout


def test_those_who_are_killed_are_gone_from_every_file(
    environ: dict[str, str], stack: Stack, tmp_path: Path
) -> None:
    done = run(environ, stack.name, "--computes", "4", "--kill", "2", "--output", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    dead = re.findall(r" (c\d) +is given up for dead", done.stdout)
    assert len(set(dead)) == 2
    living = [name for name in NODES[:5] if name not in dead]
    texts = {(tmp_path / name / "slurm.conf").read_text() for name in living}
    assert len(texts) == 1
    assert re.findall(r"^NodeName=(\S+)", texts.pop(), re.M) == living[1:]
    assert "all 3 agree" in done.stdout
    assert "was armed 2 times, and ended: met, met" in done.stdout


def test_many_nodes_in_one_process_agree_with_and_without_settling(
    environ: dict[str, str], api: ApiServer
) -> None:
    command = [sys.executable, str(EXAMPLE / "simulate.py"), "--url", api.url]
    done = subprocess.run(
        [*command, "--nodes", "12", "--join", "3", "--settle", "0.5"],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = re.findall(r"^ (\d\.\d) s +(\d+) come to (\d+) ", done.stdout, re.M)
    assert rows == [("0.0", "13", "0"), ("0.0", "3", "13"), ("0.5", "13", "0"), ("0.5", "3", "13")]


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


def test_a_node_that_fails_is_told_and_fails_the_cluster(
    environ: dict[str, str], stack: Stack, tmp_path: Path
) -> None:
    (tmp_path / "c1" / "slurm.conf").mkdir(parents=True)  # so that c1 cannot write the file
    done = run(environ, stack.name, "--computes", "2", "--output", str(tmp_path))
    assert done.returncode == 1
    assert "cluster-ready is failed: the failure condition holds: results/c1/failure" in done.stdout


def test_no_fact_adds_a_line_to_the_file(
    environ: dict[str, str], stack: Stack, tmp_path: Path
) -> None:
    stack.put("nodes/c9/ip", "10.0.0.9 CPUs=1\nInclude /etc/passwd")
    stack.put("nodes/c9/cpus", 4)
    stack.put("nodes/NoName/ip", "10.0.0.8")
    stack.put("nodes/c8/ip", "10.0.0.8")
    stack.put("nodes/c8/cpus", "4\nInclude /etc/passwd")
    stack.put("nodes/c1/ip", "10.0.0.1")
    stack.put("nodes/c1/cpus", 4)
    command = [sys.executable, str(EXAMPLE / "node.py"), "--stack", stack.name, "--role", "head"]
    node = subprocess.Popen(
        [*command, "--ip", "10.0.0.5", "--output", str(tmp_path)], env={**os.environ, **environ}
    )
    try:
        stack.wait("results/head/slurm.conf", timeout=60)
        conf = (tmp_path / "slurm.conf").read_text()
        assert "Include" not in conf
        assert re.findall(r"^NodeName=(\S+)", conf, re.M) == ["c1"]
    finally:
        stack.delete_stack()
        assert node.wait(90) == 0
