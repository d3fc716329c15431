"""A Slurm cluster on one machine: one agent a node, started in random order, until all agree.

It then grows, has agents that are restarted, and loses nodes that are killed.  Exits with 0 when every
living node wrote the same slurm.conf with every living compute node in it, each time, else with 1.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from keystoneauth1.exceptions import ClientException
from machine import HEAD, Machine, address_of, group_of

from factstore.client import Change, Client, Event, Stack, connect
from factstore.client.errors import FactstoreError, NotFound

READY_SECONDS = 30.0
LAST, RESTARTED = "results/last", "results/restarted"
ENDS = ["waiter.met", "waiter.failed", "waiter.timed_out", "fact.delete"]


class Machines:
    """The nodes, and what is known of them.

    :param client: of whoever asked for them; no node has its credentials.
    :param output: each node has a directory of its own below it.
    """

    def __init__(self, client: Client, stack: Stack, output: Path) -> None:
        self._stack = stack
        self._url = client.endpoint or ""
        self._output = output.absolute()
        self._began = time.monotonic()
        self._machines: dict[str, Machine] = {}
        self._ready = stack.waiter("cluster-ready")
        self._ends = stack.watch(types=ENDS)
        self.armings = 0

    def __len__(self) -> int:
        return len(self._machines)

    @property
    def failed(self) -> bool:
        """Whether an agent has ended by itself."""
        return any(machine.failed for machine in self._machines.values())

    def start(self, names: Sequence[str], spread: float) -> None:
        """Start these nodes in random order, spread over so many seconds at random."""
        order = random.sample(names, len(names))
        self.say("", f"starts {', '.join(order)}")
        for name in order:
            time.sleep(random.uniform(0, spread / len(order)))  # noqa: S311 - no secret
            grant = self._stack.issue_grant(member=name, group=group_of(name))
            machine = Machine(self._output / name, partial(self.say, name))
            machine.prepare(
                stack=self._stack.name,
                url=self._url,
                grant=grant.token or "",
                name=name,
                ip=address_of(name),
            )
            machine.start()
            self._machines[name] = machine

    def kill(self, count: int) -> None:
        """Let so many compute nodes die without a word, and wait until the stack has noticed."""
        victims = random.sample([name for name in self._machines if name != HEAD], count)
        with self._stack.watch(types=["member.expire"]) as deaths:
            self.say("", f"kills {', '.join(victims)}")
            for name in victims:
                self._machines.pop(name).kill()
            missed = set(victims)
            for event in deaths:
                for change in event.changes if isinstance(event, Event) else ():
                    self.say(change.name or "", "is given up for dead")
                    missed.discard(change.name or "")
                if not missed:
                    return

    def restart(self, count: int) -> bool:
        """Kill so many agents and start them again in time; whether nobody was woken by that."""
        victims = random.sample(sorted(self._machines), count)
        machines = [self._machines[name] for name in victims]
        wrong = [] if self._all_ready(machines) else ["not ready"]
        before = sum(machine.runs for machine in machines)
        with self._stack.watch() as watch:
            self.say("", f"restarts {', '.join(victims)}")
            for machine in machines:
                machine.kill()
                machine.start()
            if not self._all_ready(machines) or not all(machine.same for machine in machines):
                wrong.append("not the same members again")
            self._stack.put(RESTARTED, True)
            for event in watch:
                changes = event.changes if isinstance(event, Event) else ()
                if any(change.path == RESTARTED for change in changes):
                    break
                wrong += [
                    f"{one.type} {one.path or one.name}" for one in changes if _is_of(one, victims)
                ]
        wrong += ["hooks ran"] if sum(machine.runs for machine in machines) != before else []
        self.say("", "; ".join(wrong) or "nobody was woken")
        return not wrong

    def _all_ready(self, machines: Sequence[Machine]) -> bool:
        return all(machine.ready.wait(READY_SECONDS) for machine in machines)

    def wait(self, timeout: float) -> bool:
        """Wait until all nodes that live agree; whether they did in so many seconds.

        Who waits says what for, once, and looks at no node: members that come are counted, members
        that go are not.
        """
        computes = len(self._machines) - 1
        self._ready.arm(
            {
                "all": [
                    every("head", "services/slurmctld", 1),
                    every("compute", "services/slurmd", computes),
                    {"converged": {}},
                ]
            },
            failure={"facts": "results/*/agent/state", "equals": "failed"},
            timeout=max(1, round(timeout)),
        )
        self.armings += 1
        end = self._ready.wait(2 * timeout)
        self.say("", f"cluster-ready is {end.state}: {end.reason}")
        return end.state == "met"

    def ends(self) -> list[str]:
        """How each arming of cluster-ready ended, as everybody could see: once, and no more often."""
        self._stack.put(LAST, True)
        self._stack.delete(LAST)
        seen: list[str] = []
        for event in self._ends:
            for change in event.changes if isinstance(event, Event) else ():
                if change.path == LAST:
                    return seen
                if change.waiter is not None:
                    seen.append(change.waiter.state)
        return seen

    def check(self) -> list[str]:
        """What is wrong with the files and services of nodes that agree; nothing, it is hoped."""
        texts = {name: machine.conf.read_text() for name, machine in self._machines.items()}
        wrong = [f"{name} has another slurm.conf" for name in texts if texts[name] != texts[HEAD]]
        for name in self._machines:
            if f"\nNodeName={name} " not in texts[HEAD] and name != HEAD:
                wrong.append(f"slurm.conf does not know {name}")
            service = "slurmctld" if name == HEAD else "slurmd"
            if self._stack.get(f"nodes/{name}/services/{service}").value != "started":
                wrong.append(f"{service} is not started on {name}")
        return wrong

    def keep(self) -> None:
        """Let all go on; Ctrl-C is for them too, and ends this."""
        for machine in self._machines.values():
            machine.may_end()
        self.say("", "they go on until Ctrl-C")
        signal.pause()

    def stop(self) -> None:
        """End all nodes."""
        self._ends.close()
        for machine in self._machines.values():
            machine.ask_to_stop()
        for machine in self._machines.values():
            machine.stop()

    def say(self, name: str, what: str) -> None:
        """A line about a node, or about all."""
        print(f"{time.monotonic() - self._began:7.2f} s  {name:6} {what}", flush=True)

    def show(self) -> None:
        """The file that all agree on."""
        conf = self._machines[HEAD].conf
        print(f"\n{conf}:\n{conf.read_text()}", flush=True)


def _is_of(change: Change, names: Sequence[str]) -> bool:
    """Whether a change, of what those who converge read, is of one of these nodes."""
    parts = (change.path or "").split("/")
    return change.name in names or (parts[0] == "nodes" and parts[1] in names)


def every(group: str, fact: str, at_least: int) -> dict[str, Any]:
    """The condition that a fact of each member of a group, of so many at least, says ``started``."""
    wish = {"group": group, "fact": fact, "equals": "started", "at_least": at_least}
    return {"every_member": wish}


def run(machines: Machines, args: argparse.Namespace) -> bool:
    """Let the cluster come up, then grow; whether all went well."""
    first = [HEAD, *(f"c{number + 1}" for number in range(args.computes))]
    later = [f"c{args.computes + number + 1}" for number in range(args.join)]
    for act in (
        lambda: machines.start(first, args.spread),
        (lambda: machines.start(later, args.spread)) if later else None,
        (lambda: machines.restart(args.restart)) if args.restart else None,
        (lambda: machines.kill(args.kill)) if args.kill else None,
    ):
        if act is None:
            continue
        if act() is False or not machines.wait(args.timeout):
            return False
        wrong = machines.check()
        machines.say("", "; ".join(wrong) or f"all {len(machines)} agree")
        if wrong:
            return False
    machines.show()
    ends = machines.ends()
    machines.say(
        "", f"cluster-ready was armed {machines.armings} times, and ended: {', '.join(ends)}"
    )
    return not machines.failed and ends == ["met"] * machines.armings


def exists(stack: Stack) -> bool:
    """Whether there is such a stack."""
    try:
        stack.describe()
    except NotFound:
        return False
    return True


def demonstrate(client: Client, stack: Stack, args: argparse.Namespace) -> bool:
    """Run a cluster in a new stack and clean up; whether all went well."""
    well = False
    with tempfile.TemporaryDirectory(prefix="slurm-") as scratch:
        machines = Machines(client, stack, args.output or Path(scratch))
        try:
            well = run(machines, args)
            if well and args.keep:
                machines.keep()
        except KeyboardInterrupt:
            pass
        finally:
            machines.stop()
            stack.delete_stack()
        return well


def main() -> int:
    """Run the cluster; 0 if all nodes converged."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stack", default="slurm", help="must not exist (default: %(default)s)")
    parser.add_argument("--computes", type=int, default=5, help="nodes at first, besides the head")
    parser.add_argument("--join", type=int, default=0, help="nodes that come when all is set up")
    parser.add_argument(
        "--restart", type=int, default=0, help="agents that are then killed and started in time"
    )
    parser.add_argument("--kill", type=int, default=0, help="compute nodes that then die unheard")
    parser.add_argument(
        "--spread", type=float, default=3.0, help="seconds over which nodes start at random"
    )
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds to converge in")
    parser.add_argument("--output", type=Path, help="keep the nodes' files in this directory")
    parser.add_argument("--keep", action="store_true", help="go on until Ctrl-C, for a look")
    args = parser.parse_args()
    if args.computes < 1 or args.join < 0 or args.computes + args.join > 200:
        parser.error("between 1 and 200 compute nodes, please")
    if not 0 <= args.kill < args.computes + args.join:
        parser.error("some compute node has to live")
    if not 0 <= args.restart <= args.computes + args.join + 1:
        parser.error("there are not so many to restart")
    for number in (signal.SIGINT, signal.SIGTERM):  # of which a background job ignores the first
        signal.signal(number, signal.default_int_handler)
    try:
        client = connect()
        stack = client.stack(args.stack)
        if exists(stack):
            print(f"stack {args.stack} exists already: delete it, or use --stack", file=sys.stderr)
            return 1
        stack.configure(description="A Slurm cluster, for example")
        return 0 if demonstrate(client, stack, args) else 1
    except (FactstoreError, ClientException) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
