"""Many agents, two servers and etcd, and the faults that a test causes among them.

Each agent has a grant, publishes facts, writes a file from the facts of all, and then runs a hook in
its turn.  The hooks record how many run at the same time.  A few agents read one more fact than others.
"""

from __future__ import annotations

import os
import random
import shlex
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event

from factstore.agent.apply import templates
from factstore.agent.errors import EXIT_OK, EXIT_UNAVAILABLE
from factstore.client import Context, Convergence, connect
from factstore.client.errors import NotFound, Unavailable
from factstore.cmd.processes.etcd import EtcdServer
from tests.agent.instance import Instance
from tests.agents import ARGV
from tests.eventually import eventually
from tests.faults.conftest import StartApi
from tests.http import fresh_stack

AGENTS = 12
MANY = 30  # agents, with more faults
READERS = 3  # of the fact that the others do not read; they also publish facts with a command
PARALLEL = 4  # hooks at the same time
TTL = 12  # of an agent; on a busy machine, a heartbeat can take seconds
FROZEN = TTL + 2.0  # seconds after which one that is frozen has been missed

COMMON = "{{ facts.nodes | json }}\n{{ members | json }}\n"
SPECIAL = "{{ facts.special | default('missing') }}\n"
HOOK = """\
mkdir -p ALL/running/$FACTSTORE_MEMBER
ls ALL/running | wc -l >> ALL/parallel
while test -e ALL/hold; do sleep 0.1; done
cp DIR/nodes DIR/.seen
mv DIR/.seen DIR/seen
rmdir ALL/running/$FACTSTORE_MEMBER
"""
PUBLISH = f"""\
test -e DIR/told || {{ {shlex.join(ARGV)} put services/apply started && touch DIR/told; }}
"""


class Cluster:
    """Agents, half of them at each of two servers, and the facts that they publish.

    :ivar expected: by agent, the facts that it was given.
    :ivar readers: the agents that read one more fact.
    """

    def __init__(
        self,
        etcd: EtcdServer,
        start_api: StartApi,
        directory: Path,
        chance: random.Random,
        agents: int,
    ) -> None:
        self._etcd = etcd
        self._services = [start_api([etcd.endpoint]) for _ in range(2)]
        self._directory = directory
        self._chance = chance
        self._pause = Event()  # never set
        self._frozen: dict[str, float] = {}
        self._changes = 0
        self.done: list[str] = []
        client = connect({"OS_AUTH_TYPE": "none", "OS_ENDPOINT": self._services[0].url})
        self.stack = client.stack(fresh_stack())
        self.stack.configure()
        (directory / "running").mkdir()
        self.agents = [self._make(number) for number in range(agents)]
        self.readers = self.agents[:READERS]
        self.expected: dict[str, dict[str, int]] = {each.name: {} for each in self.agents}
        for each in self.agents:
            self._tell(each)

    def _make(self, number: int) -> Instance:
        name = f"c{number}"
        service = self._services[number % len(self._services)]
        made = Instance(
            self._directory / name,
            service.url,
            self.stack.name,
            name,
            ttl=TTL,
            log_level="debug",
            react=f"run_hooks = files\nmax_parallel = {PARALLEL}",
        )
        token = self.stack.issue_grant(member=name, group="node").token
        made.write("grant", f"{token}\n").chmod(0o600)
        text = made.config.read_text()
        text = text.replace("[service]\n", f"[service]\ngrant_file = {made.directory}/grant\n")
        made.config.write_text(text.replace("interval = 3600", "interval = 2"))
        reads = number < READERS
        made.write("templates/nodes.j2", SPECIAL + COMMON if reads else COMMON)
        hook = HOOK.replace("ALL", str(self._directory))
        made.hook("10-apply", hook + PUBLISH if reads else hook)
        return made

    def _tell(self, agent: Instance) -> None:
        """Change the facts in an agent's ``facts.d``."""
        self._changes += 1
        self.expected[agent.name]["file"] = self._changes
        agent.fact(file=self._changes)

    def start(self) -> None:
        for agent in self.agents:
            agent.start()

    def end(self) -> None:
        """Kill all agents, and check that none had an internal error."""
        for agent in self.agents:
            agent.child.resume()
            agent.kill()
        for agent in self.agents:
            assert "Traceback" not in agent.log, agent.log
            assert "internal error of the agent" not in agent.log, agent.log

    # Read sets

    def renders(self) -> dict[str, int]:
        """Return the number of contexts that each agent has applied."""
        return {each.name: each.log.count("applied context") for each in self.agents}

    def reading(self, path: str) -> set[str]:
        """Return the members that read a fact."""
        return {each.name for each in self.stack.members(reads=path)}

    def let_read(self, agent: Instance) -> None:
        """Let one more agent read the fact, and wait until its file has it."""
        before = self.renders()[agent.name]
        agent.write("templates/nodes.j2", SPECIAL + COMMON)
        agent.reload()
        self.readers = [*self.readers, agent]
        eventually(lambda: self.reading("special") == {each.name for each in self.readers}, 60)
        # The read set is stored before the context is applied.
        eventually(lambda: self.renders()[agent.name] == before + 1, 60)

    def put_special(self, value: str) -> None:
        """Change the fact that only the readers read, and wait until they have applied it."""
        self.stack.put("special", value)
        for each in self.readers:
            eventually(lambda each=each: each.nodes[:1] == [value], 60)  # type: ignore[misc]

    # Turns

    @property
    def parallel(self) -> int:
        """The highest number of hooks that ran at the same time."""
        return max(int(line) for line in (self._directory / "parallel").read_text().split())

    @property
    def running(self) -> set[str]:
        """The members whose hooks are running."""
        return {each.name for each in (self._directory / "running").iterdir()}

    def hold(self) -> None:
        """Let no hook end until :meth:`release`, and change a fact that all read."""
        (self._directory / "hold").touch()
        self._tell(self.agents[0])

    def release(self) -> None:
        (self._directory / "hold").unlink()

    def holders(self) -> set[str]:
        """Return the members that hold their turn."""
        return {turn.member for turn in self.stack.turns("node") if turn.holds}

    def waiting(self) -> set[str]:
        """Return the members that wait for their turn."""
        return {turn.member for turn in self.stack.turns("node") if not turn.holds}

    def crash(self, name: str) -> Instance:
        """Kill an agent and its hook, as a crash of the instance does."""
        (agent,) = (each for each in self.agents if each.name == name)
        agent.kill()
        with suppress(ProcessLookupError):
            os.killpg(agent.kept("hook")["pid"], signal.SIGKILL)
        (self._directory / "running" / name).rmdir()
        return agent

    def crash_servers(self) -> None:
        """Kill a worker and etcd, which start again."""
        self._services[0].kill_worker()
        self._etcd.kill()
        self._etcd.start()

    # Faults at random

    def disturb(self) -> None:
        """Cause one fault, then pause for a random time."""
        what: Callable[[], None] = self._chance.choice(
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
        self._changes += 1
        called = agent.call("put", "--json", "put", str(self._changes))
        assert called.returncode in (EXIT_OK, EXIT_UNAVAILABLE), called.stderr
        self.expected[agent.name]["put"] = self._changes

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

    def calm(self) -> None:
        """Resume and restart everything."""
        self._thaw(time.monotonic() + FROZEN)
        self._etcd.wait_ready()
        for service in self._services:
            service.wait_ready()

    # Convergence

    def nobody_ended(self) -> None:
        ended = [each.name for each in self.agents if not each.child.running]
        assert not ended, {
            each.name: each.log[-2000:] for each in self.agents if each.name in ended
        }

    def complete(self, context: Context) -> bool:
        """Return True if all agents are ready members and all facts exist."""
        members, nodes = context.document["members"], context.facts.get("nodes", {})
        return (
            members.keys() == self.expected.keys() == nodes.keys()
            and {member["state"] for member in members.values()} == {"ready"}
            and all(
                nodes[each.name].items() >= self.expected[each.name].items()
                and "boot_id" in nodes[each.name]
                for each in self.agents
            )
            and all(
                nodes[each.name].get("services") == {"apply": "started"}
                for each in self.agents[:READERS]
            )
        )

    def converged(self, within: float) -> Context:
        """Return the context that all agents have applied, when it contains all expected facts.

        All files are then rendered from it, and all hooks have read these files.
        """
        seen: list[object] = []

        def look() -> Context | None:
            with suppress(NotFound, Unavailable):
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
        found, right = [], {}
        for agent in self.agents:
            template = agent.directory / "templates" / "nodes.j2"
            text = template.read_text()
            if text not in right:
                right[text] = templates.render(template, context.document)
            files = [agent.directory / name for name in ("nodes", "seen")]
            found += [str(file) for file in files if file.read_text() != right[text]]
        return found
