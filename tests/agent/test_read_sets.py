"""Agents and a real service: only those are woken that read what has changed."""

from __future__ import annotations

from factstore.client import Stack
from tests.agent.conftest import Make
from tests.agent.instance import Instance
from tests.agent.test_agent import converged
from tests.eventually import eventually

NAMES = ("c1", "c2", "c3")


def renders(each: Instance) -> int:
    return each.log.count("applied context")


def settled(stack: Stack, *instances: Instance) -> list[int]:
    """Return the renders of each instance, once all have applied what they read."""
    converged(stack, *NAMES)
    for each in instances:
        eventually(lambda name=each.name: stack.member(name).show().read_set, 20)  # type: ignore[misc]
    return [renders(each) for each in instances]


def test_only_the_readers_of_a_fact_are_woken(stack: Stack, make: Make) -> None:
    instances = [make(name, more="run_hooks = files", log_level="debug") for name in NAMES]
    c1, c2, _ = instances
    for each in instances:
        reads = "special" if each is c1 else "common"
        each.write("templates/nodes.j2", f"{{{{ facts.{reads} | default('missing') }}}}\n")
        each.start()
    before = settled(stack, *instances)

    for value in range(3):
        stack.put("kpi", value)
    assert stack.convergence().converged
    assert stack.convergence().concerned == 0
    assert [each.name for each in stack.members(reads="special")] == ["c1"]

    stack.put("special", "new")
    eventually(lambda: (c1.directory / "nodes").read_text() == "new\n", 20)
    assert stack.convergence(wait=20).converged
    after = [renders(each) for each in instances]
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 0, 0]

    c2.write("templates/nodes.j2", "{{ facts.common | default('') }}{{ facts.special }}\n")
    c2.reload()
    eventually(lambda: (c2.directory / "nodes").read_text() == "new\n", 20)
    readers = ["c1", "c2"]
    eventually(lambda: [each.name for each in stack.members(reads="special")] == readers, 20)
    before = settled(stack, *instances)
    stack.put("special", "newer")
    eventually(lambda: (c2.directory / "nodes").read_text() == "newer\n", 20)
    eventually(lambda: (c1.directory / "nodes").read_text() == "newer\n", 20)
    assert stack.convergence(wait=20).converged
    after = [renders(each) for each in instances]
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 1, 0]


def test_a_full_render_reports_and_counts_files_that_the_read_set_let_through(
    stack: Stack, make: Make
) -> None:
    c1 = make("c1", more="run_hooks = files\nfull_render = 1", log_level="debug")
    c1.start()
    first = eventually(lambda: renders(c1), 20)
    stack.put("kpi", 1)
    eventually(lambda: renders(c1) >= first + 3, 20)
    agent = stack.context(results=True).facts["results"]["c1"]["agent"]
    assert (agent["problems"], "read_set_mismatches" in agent) == ({}, False)
    assert "files differ" not in c1.log

    c1.write("templates/nodes.j2", "another\n")  # the agent is not reloaded, and does not know

    def counted() -> bool:
        agent = stack.context(results=True).facts["results"]["c1"]["agent"]
        return "read set" in agent["problems"] and agent.get("read_set_mismatches") == 1

    eventually(counted, 20)
    assert "files differ" in c1.log
    assert c1.nodes == ["another"]
