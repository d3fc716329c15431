"""The agent as one file, on the oldest Python of this machine, with nothing else installed."""

from __future__ import annotations

from pathlib import Path

import factstore
from factstore.client import Stack
from tests.agent.conftest import Make
from tests.agent.test_agent import converged
from tests.eventually import eventually
from tests.zipapp import BARE, build, pythons


def test_one_file_is_the_whole_agent(stack: Stack, make: Make, tmp_path: Path) -> None:
    file = build(tmp_path / "installed" / "factstore-agent")
    python = next(iter(pythons().values()))
    c1 = make("c1", argv=[python, "-IB", str(file)])
    c1.write("facts.d/hardware.yaml", "cpus: 4\nservices/slurmd: started\n")
    c1.hook("20-publish", 'cd "$HOME" && factstore-agent put hooked "$LANG"')
    c1.start(BARE)
    context = converged(stack, "c1")
    own = context.facts["nodes"]["c1"]
    assert (own["cpus"], own["services"]) == (4, {"slurmd": "started"})
    assert own["hooked"] == "C.UTF-8"
    assert c1.nodes == ["c1"]
    c1.write("facts.d/hardware.yaml", "cpus: 8\n")
    c1.reload()  # it finds its own file again
    eventually(lambda: stack.get("nodes/c1/cpus").value == 8)
    assert c1.stop() == 0
    assert list(stack.members()) == []
    assert c1.log.count("departed") == 1
    assert str(Path(factstore.__file__).parent) not in c1.log
