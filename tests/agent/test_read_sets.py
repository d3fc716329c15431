"""An agent and a real service: files that differ although nothing that they read has changed."""

from __future__ import annotations

from factstore.client import Stack
from tests.agent.conftest import Make
from tests.agent.instance import Instance
from tests.eventually import eventually


def renders(each: Instance) -> int:
    return each.log.count("applied context")


def test_a_full_render_reports_and_counts_files_that_the_read_set_let_through(
    stack: Stack, make: Make
) -> None:
    c1 = make("c1", more="run_hooks = files\nfull_render = 1", log_level="debug")
    c1.start()
    first = eventually(lambda: renders(c1))
    stack.put("kpi", 1)
    eventually(lambda: renders(c1) >= first + 3)
    agent = stack.context(results=True).facts["results"]["c1"]["agent"]
    assert (agent["problems"], "read_set_mismatches" in agent) == ({}, False)
    assert "files differ" not in c1.log

    # The agent applies an edited template, and cannot know that this one differs each time.
    c1.write("templates/nodes.j2", "{{ range(99999) | random }}{{ range(99999) | random }}\n")

    def counted() -> bool:
        agent = stack.context(results=True).facts["results"]["c1"]["agent"]
        return "read set" in agent["problems"] and agent.get("read_set_mismatches") == 1

    eventually(counted)
    assert "files differ" in c1.log
