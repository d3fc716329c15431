"""Configurations of real agents: order across members, outputs, a killed agent, and undeploying."""

from __future__ import annotations

from factstore.client import ConfigurationRecord, Stack
from tests.agent.conftest import Make
from tests.eventually import eventually

HOOK = """\
cat > DIR/input
grep -oE 'first|second|last' DIR/input | head -n 1 >> ../order
while ! test -e DIR/go; do sleep 0.05; done
echo '{"deploy_stdout": "printed", "deploy_status_code": 0, "url": "http://c1"}'
"""


def test_configurations_run_in_order_across_members_and_survive_a_killed_agent(
    stack: Stack, make: Make
) -> None:
    c1, c2 = (make(name, "[deploy]\nhooks = DIR/heat\n", ttl=10) for name in ("c1", "c2"))
    order = c1.directory.parent / "order"
    for each in (c1, c2):
        each.hook("script", HOOK.replace("../order", str(order)))
        (each.directory / "heat").mkdir()
        (each.directory / "hooks.d" / "script").rename(each.directory / "heat" / "script")
    (c2.directory / "go").touch()
    stack.configuration("c2", "last").put("script", depends_on=["c1/first", "c1/second"])
    for name in ("first", "second"):
        stack.configuration("c1", name).put("script", outputs=["url"])
    for each in (c1, c2):
        each.start()
    first = stack.configuration("c1", "first")

    def state() -> str:
        found = first.show()
        assert found is not None
        return found.state

    eventually(lambda: state() == "in_progress" and order.exists())
    c1.kill()
    (c1.directory / "go").touch()
    c1.start()

    def ended() -> list[ConfigurationRecord]:
        found = stack.configurations()
        assert found is not None
        return [each for each in found.configurations if each.state == "complete"]

    eventually(lambda: len(ended()) == 3)
    assert order.read_text().split() == ["first", "second", "last"]
    found = first.show()
    assert found is not None
    assert found.result is not None
    assert (found.result.stdout, found.result.outputs) == ("printed", {"url": "http://c1"})
    stack.configuration("c1", "first").put("script", action="DELETE")
    stack.configuration("c2", "last").put(
        "script", action="DELETE", depends_on=["c1/first", "c1/second"]
    )
    eventually(lambda: len(ended()) == 3)
    assert order.read_text().split()[3:] == ["last", "first"]
