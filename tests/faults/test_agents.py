"""A dozen agents, two servers and etcd, which crash, freeze and restart at random: the agents converge.

The random choices depend on a seed that is printed.  The test does not wait between the faults.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event

import pytest

from factstore.agent.apply import templates
from factstore.agent.errors import EXIT_OK, EXIT_UNAVAILABLE
from factstore.client import Context, Convergence, connect
from factstore.client.errors import NotFound
from factstore.cmd.processes.etcd import EtcdServer
from tests.agent.instance import ARGV, Instance
from tests.eventually import eventually
from tests.faults.conftest import StartApi
from tests.http import fresh_stack
from tests.service import ApiServer

AGENTS = 12
TURNS = 16
TTL = 6  # of an agent
FROZEN = TTL + 2.0  # seconds after which one that is frozen has been missed
UP_SECONDS = 60.0  # in which all have started
CALM_SECONDS = 90.0  # in which all have converged, once nothing breaks any more

TEMPLATE = "{{ facts | json }}\n{{ members | json }}\n"
HOOK = f"""\
cp DIR/nodes DIR/.seen
mv DIR/.seen DIR/seen
test -e DIR/told || {{ {" ".join(ARGV)} put services/apply started && touch DIR/told; }}
"""


class Cluster:
    """Agents with grants, half of them at each of two servers, and the facts that they publish.

    :ivar expected: by agent, the facts that it was given.
    """

    def __init__(
        self, etcd: EtcdServer, services: list[ApiServer], directory: Path, chance: random.Random
    ) -> None:
        self._etcd = etcd
        self._services = services
        self._chance = chance
        self._pause = Event()  # never set
        self._frozen: dict[str, float] = {}
        self._turn = 0
        self.done: list[str] = []
        self.stack = connect({"OS_AUTH_TYPE": "none", "OS_ENDPOINT": services[0].url}).stack(
            fresh_stack()
        )
        self.stack.configure()
        self.agents = [self._make(directory, number) for number in range(AGENTS)]
        self.expected: dict[str, dict[str, int]] = {each.name: {} for each in self.agents}
        for each in self.agents:
            self._tell(each)

    def _make(self, directory: Path, number: int) -> Instance:
        name = f"c{number}"
        service = self._services[number % len(self._services)]
        made = Instance(directory / name, service.url, self.stack.name, name, ttl=TTL)
        token = self.stack.issue_grant(member=name, group="node").token
        made.write("grant", f"{token}\n").chmod(0o600)
        text = made.config.read_text()
        text = text.replace("[service]\n", f"[service]\ngrant_file = {made.directory}/grant\n")
        made.config.write_text(text.replace("interval = 3600", "interval = 2"))
        made.write("templates/nodes.j2", TEMPLATE)
        made.hook("10-apply", HOOK)
        return made

    def _tell(self, agent: Instance) -> None:
        """Change the facts in an agent's ``facts.d``."""
        self._turn += 1
        self.expected[agent.name]["file"] = self._turn
        agent.fact(file=self._turn)

    # Faults

    def disturb(self) -> None:
        """Cause one fault, then pause for a random time."""
        what = self._chance.choice(
            [
                self._kill_agent,
                self._kill_agent,
                self._stop_agent,
                self._freeze_agent,
                self._freeze_agent,
                self.change_file,
                self.change_file,
                self._put,
                self._kill_service,
                self._restart_service,
                self._freeze_service,
                self._kill_etcd,
                self._freeze_etcd,
            ]
        )
        self.done.append(what.__name__)
        what()
        self._thaw(time.monotonic())
        self._pause.wait(self._chance.uniform(0, 1))
        self.nobody_ended()

    def _agent(self) -> Instance:
        return self._chance.choice([each for each in self.agents if each.name not in self._frozen])

    def _kill_agent(self) -> None:
        agent = self._agent()
        agent.kill()
        self._pause.wait(self._chance.choice([0, 0, 1]))
        agent.start()

    def _stop_agent(self) -> None:
        agent = self._agent()
        assert agent.stop() == EXIT_OK, agent.log[-2000:]
        agent.start()

    def _freeze_agent(self) -> None:
        agent = self._agent()
        agent.child.pause()
        self._frozen[agent.name] = time.monotonic() + FROZEN

    def _thaw(self, now: float) -> None:
        for agent in self.agents:
            if self._frozen.get(agent.name, now + 1) <= now:
                agent.child.resume()
                del self._frozen[agent.name]

    def change_file(self) -> None:
        """Change the published facts of some agents."""
        for _ in range(3):
            self._tell(self._chance.choice(self.agents))

    def _put(self) -> None:
        agent = self._agent()
        self._turn += 1
        called = agent.call("put", "--json", "put", str(self._turn))
        assert called.returncode in (EXIT_OK, EXIT_UNAVAILABLE), called.stderr
        self.expected[agent.name]["put"] = self._turn

    def _kill_service(self) -> None:
        service = self._chance.choice(self._services)
        service.kill()
        self._pause.wait(self._chance.uniform(0, 2))
        service.start(wait=False)

    def _restart_service(self) -> None:
        service = self._chance.choice(self._services)
        service.stop()
        service.start(wait=False)

    def _freeze_service(self) -> None:
        service = self._chance.choice(self._services)
        service.pause()
        self._pause.wait(self._chance.choice([1, TTL + 1]))
        service.resume()

    def _kill_etcd(self) -> None:
        self._etcd.kill()
        self._pause.wait(self._chance.uniform(0, 2))
        self._etcd.start()

    def _freeze_etcd(self) -> None:
        self._etcd.pause()
        self._pause.wait(self._chance.choice([1, 3]))
        self._etcd.resume()

    # Convergence

    def calm(self) -> None:
        """Resume and restart everything."""
        self._thaw(time.monotonic() + FROZEN)
        self._etcd.wait_ready()
        for service in self._services:
            service.wait_ready()

    def nobody_ended(self) -> None:
        ended = [each.name for each in self.agents if not each.child.running]
        assert not ended, {
            each.name: each.log[-2000:] for each in self.agents if each.name in ended
        }

    def complete(self, context: Context) -> bool:
        """Return True if all agents are ready members and all facts exist."""
        members = context.document["members"]
        nodes = context.facts.get("nodes", {})
        return (
            members.keys() == self.expected.keys() == nodes.keys()
            and {member["state"] for member in members.values()} == {"ready"}
            and all(
                nodes[name].items() >= facts.items()
                and nodes[name].keys() - facts.keys() == {"boot_id", "services"}
                and nodes[name]["services"] == {"apply": "started"}
                for name, facts in self.expected.items()
            )
        )

    def converged(self, within: float) -> Context:
        """Return the context that all agents have applied, when it contains all expected facts.

        All files are then rendered from it, and all hooks have read these files.
        """
        seen: list[object] = []

        def look() -> Context | None:
            with suppress(NotFound):
                standing: Convergence = self.stack.convergence(wait=1)
                context = self.stack.context()
                after = self.stack.convergence()
                seen[:] = [standing.lagging, context.document]
                still = standing.target == after.target
                if standing.converged and after.converged and still and self.complete(context):
                    wrong = self.wrong(context)
                    # Unless one was given up for dead meanwhile, all had applied it.
                    assert not wrong or self.stack.convergence().target != after.target, wrong
                    return None if wrong else context
            return None

        try:
            return eventually(look, within)  # type: ignore[return-value]
        except AssertionError as error:
            logs = "".join(f"\n{each.name}:\n{each.log[-1000:]}" for each in self.agents)
            raise AssertionError(
                f"expected {self.expected}, and there is {seen}; {self.done}{logs}"
            ) from error

    def wrong(self, context: Context) -> list[str]:
        """Return the files that differ from the context, or from what the last hook read."""
        right = templates.render(
            self.agents[0].directory / "templates" / "nodes.j2", context.document
        )
        files = [each.directory / name for each in self.agents for name in ("nodes", "seen")]
        return [str(file) for file in files if file.read_text() != right]


@pytest.fixture
def cluster(
    etcd_server: EtcdServer, start_api: StartApi, tmp_path: Path, seed: int
) -> Iterator[Cluster]:
    """All agents and servers, before any agent is started."""
    services = [start_api([etcd_server.endpoint]) for _ in range(2)]
    made = Cluster(etcd_server, services, tmp_path, random.Random(seed))
    try:
        yield made
    finally:
        for agent in made.agents:
            agent.child.resume()
            agent.kill()
    for agent in made.agents:
        assert "Traceback" not in agent.log, agent.log
        assert "internal error of the agent" not in agent.log, agent.log


def test_agents_converge_under_crashes_and_freezes(cluster: Cluster, scale: int) -> None:
    for agent in cluster.agents:
        agent.start()
    first = cluster.converged(UP_SECONDS)
    for _ in range(TURNS * scale):
        cluster.disturb()
    cluster.change_file()  # the drawn faults need not include a change
    print(json.dumps(cluster.done))
    cluster.calm()
    last = cluster.converged(CALM_SECONDS)
    cluster.nobody_ended()
    assert first.document != last.document
