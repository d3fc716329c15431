"""Run a Slurm cluster on one machine: one agent for each node, in random order, until all agree.

The cluster can then grow, have agents restarted and have nodes killed.  The exit status is 0 if, each
time, every remaining node wrote the same slurm.conf with every remaining compute node in it.
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
from factstore.client.counts import counted
from factstore.client.errors import FactstoreError, NotFound

READY_SECONDS = 30.0
LAST, RESTARTED = "results/last", "results/restarted"
ENDS = ["waiter.met", "waiter.failed", "waiter.timed_out", "fact.delete"]


class Machines:
    """The nodes of the cluster.

    :param client: client of the stack's owner; no node has its credentials.
    :param output: directory for the directories of the nodes.
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
        """True if an agent has exited unexpectedly."""
        return any(machine.failed for machine in self._machines.values())

    def start(self, names: Sequence[str], spread: float) -> None:
        """Start the nodes in random order, at random times within *spread* seconds."""
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
        """Kill *count* compute nodes, and wait until their members have expired."""
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
        """Kill and restart *count* agents; return True if no other node was notified."""
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
        """Wait until all remaining nodes agree; return True if they did within *timeout* seconds.

        The waiter states the condition once and names no node: it includes members that join later, and
        excludes members that have departed or expired.
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
        """Return the final states of cluster-ready from the watch: one for each time it was armed."""
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
        """Return the mistakes in the files and services of the nodes; empty if there are none."""
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
        """Keep all nodes running until Ctrl-C, which the nodes receive too."""
        for machine in self._machines.values():
            machine.may_end()
        self.say("", "they go on until Ctrl-C")
        signal.pause()

    def stop(self) -> None:
        """Stop all nodes."""
        self._ends.close()
        for machine in self._machines.values():
            machine.ask_to_stop()
        for machine in self._machines.values():
            machine.stop()

    def say(self, name: str, what: str) -> None:
        """Print a line about a node, or about all if the name is empty."""
        print(f"{time.monotonic() - self._began:7.2f} s  {name:6} {what}", flush=True)

    def show(self, *, kept: bool) -> None:
        """Print the file on which all nodes agree, and where it is if it is kept."""
        conf = self._machines[HEAD].conf
        place = f", also in {conf}" if kept else ""
        print(f"\n{conf.name} of all nodes{place}:\n{conf.read_text()}", flush=True)


def _is_of(change: Change, names: Sequence[str]) -> bool:
    """Return True if the change would notify other nodes about one of these nodes."""
    parts = (change.path or "").split("/")
    return change.name in names or (parts[0] == "nodes" and parts[1] in names)


def every(group: str, fact: str, at_least: int) -> dict[str, Any]:
    """Return the condition that a fact is ``started`` for each of at least so many members."""
    condition = {"group": group, "fact": fact, "equals": "started", "at_least": at_least}
    return {"every_member": condition}


def run(machines: Machines, args: argparse.Namespace) -> bool:
    """Run all phases of the cluster; return True if each succeeded."""
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
    machines.show(kept=args.output is not None)
    ends = machines.ends()
    armings = counted(machines.armings, "time")
    machines.say("", f"cluster-ready was armed {armings}, and ended: {', '.join(ends)}")
    return not machines.failed and ends == ["met"] * machines.armings


def exists(stack: Stack) -> bool:
    """Return True if the stack exists."""
    try:
        stack.describe()
    except NotFound:
        return False
    return True


def demonstrate(client: Client, stack: Stack, args: argparse.Namespace) -> bool:
    """Run a cluster in a new stack and clean up; return True on success."""
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
    """Run the cluster; return 0 if all nodes converged."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stack", default="slurm", help="must not exist (default: %(default)s)")
    parser.add_argument(
        "--computes",
        type=int,
        default=5,
        help="initial number of compute nodes (default: %(default)s)",
    )
    parser.add_argument("--join", type=int, default=0, help="compute nodes to add afterwards")
    parser.add_argument("--restart", type=int, default=0, help="agents to kill and restart in time")
    parser.add_argument("--kill", type=int, default=0, help="compute nodes to kill for good")
    parser.add_argument(
        "--spread", type=float, default=3.0, help="seconds within which nodes start at random"
    )
    parser.add_argument(
        "--timeout", type=float, default=120.0, help="seconds in which the nodes must converge"
    )
    parser.add_argument(
        "--output", type=Path, help="directory in which the files of the nodes are kept"
    )
    parser.add_argument("--keep", action="store_true", help="keep the cluster running until Ctrl-C")
    args = parser.parse_args()
    if args.computes < 1 or args.join < 0 or args.computes + args.join > 200:
        parser.error("the number of compute nodes must be from 1 to 200")
    if not 0 <= args.kill < args.computes + args.join:
        parser.error("--kill must leave at least one compute node")
    if not 0 <= args.restart <= args.computes + args.join + 1:
        parser.error("--restart must not exceed the number of nodes")
    for number in (signal.SIGINT, signal.SIGTERM):  # a background job ignores SIGINT otherwise
        signal.signal(number, signal.default_int_handler)
    try:
        client = connect()
        stack = client.stack(args.stack)
        if exists(stack):
            print(
                f"stack {args.stack} exists already: delete it, or use --stack",
                file=sys.stderr,
            )
            return 1
        stack.configure(description="A Slurm cluster, for example")
        return 0 if demonstrate(client, stack, args) else 1
    except (FactstoreError, ClientException) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
