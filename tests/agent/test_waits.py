"""Real agents whose templates wait for each other's facts."""

from __future__ import annotations

from factstore.client import Stack, StackWaits
from tests.agent.conftest import Make
from tests.agent.test_agent import converged
from tests.eventually import eventually


def goals(found: StackWaits) -> list[tuple[str, str, str]]:
    return [(wait.kind, wait.who[1], wait.goal[1]) for wait in found.waits]


def test_agents_whose_strict_templates_need_each_other_are_a_circle_until_somebody_writes(
    stack: Stack, make: Make
) -> None:
    stack.configure()
    instances = {}
    for own, other in (("a", "b"), ("b", "a")):
        section = "[template peer]\nsource = peer.j2\ndestination = DIR/peer"
        instance = instances[own] = make(own, more=section)
        instance.write("templates/peer.j2", f"{{{{ facts.nodes.{other}.services.port }}}}\n")
        instance.start()
    found = eventually(lambda: (seen := stack.waits()).stuck and len(seen.circles) == 1 and seen)
    assert found.circles[0].members == ("a", "b")
    assert goals(found) == [
        ("template", "a", "nodes/b/services/port"),
        ("template", "b", "nodes/a/services/port"),
    ]
    for each in ("a", "b"):
        stack.put(f"nodes/{each}/services/port", 80)
    converged(stack, "a", "b")
    assert (instances["a"].directory / "peer").read_text() == "80\n"
    eventually(lambda: not stack.waits().waits)
    eventually(lambda: stack.get("results/a/agent/missing").value == [])
