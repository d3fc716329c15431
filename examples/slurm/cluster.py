"""A Slurm cluster on one machine: one process a node, started in random order, until all agree.

It then grows, and loses nodes that are killed.  Exits with 0 when every living node wrote the same
slurm.conf with every living compute node in it, each time, else with 1.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keystoneauth1.exceptions import ClientException

from factstore.client import Event, Stack, connect
from factstore.client.errors import FactstoreError, NotFound

HEAD = "head"
NODE = Path(__file__).with_name("node.py")
STOP_SECONDS = 5.0
LAST = "results/last"
ENDS = ["waiter.met", "waiter.failed", "waiter.timed_out", "fact.delete"]


class Machines:
    """The nodes as processes, and what is known of them.

    :param output: each node has a directory of its own below it.
    """

    def __init__(self, stack: Stack, output: Path) -> None:
        self._stack = stack
        self._output = output
        self._began = time.monotonic()
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self._readers: list[threading.Thread] = []
        self._killed: dict[str, subprocess.Popen[str]] = {}
        self._stopping = threading.Event()
        self._ready = stack.waiter("cluster-ready")
        self._ends = stack.watch(types=ENDS)
        self.armings = 0
        self.failed = False

    def __len__(self) -> int:
        return len(self._processes)

    def start(self, names: Sequence[str], spread: float) -> None:
        """Start these nodes in random order, spread over so many seconds at random."""
        order = random.sample(names, len(names))
        self.say("", f"starts {', '.join(order)}")
        for name in order:
            time.sleep(random.uniform(0, spread / len(order)))  # noqa: S311 - no secret
            role = "head" if name == HEAD else "compute"
            command = [sys.executable, str(NODE), "--stack", self._stack.name, "--role", role]
            command += ["--name", name, "--head", HEAD, "--ip", _address(name)]
            command += ["--output", str(self._output / name)]
            process = subprocess.Popen(  # noqa: S603 - our own program
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
            self._processes[name] = process
            reader = threading.Thread(target=self._read, args=(name, process))
            reader.start()
            self._readers.append(reader)

    def kill(self, count: int) -> None:
        """Let so many compute nodes die without a word, and wait until the stack has noticed."""
        victims = random.sample([name for name in self._processes if name != HEAD], count)
        with self._stack.watch(types=["member.expire"]) as deaths:
            self.say("", f"kills {', '.join(victims)}")
            for name in victims:
                self._killed[name] = self._processes.pop(name)
                self._killed[name].kill()
            missed = set(victims)
            for event in deaths:
                for change in event.changes if isinstance(event, Event) else ():
                    self.say(change.name or "", "is given up for dead")
                    missed.discard(change.name or "")
                if not missed:
                    return

    def wait(self, timeout: float) -> bool:
        """Wait until all nodes that live agree; whether they did in so many seconds.

        Who waits says what for, once, and looks at no node: members that come are counted, members
        that go are not.
        """
        computes = len(self._processes) - 1
        self._ready.arm(
            {
                "all": [
                    _every("head", "services/slurmctld", 1),
                    _every("compute", "services/slurmd", computes),
                    {"converged": {}},
                ]
            },
            failure={"facts": "results/*/failure", "present": True},
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
        seen = []
        for event in self._ends:
            for change in event.changes if isinstance(event, Event) else ():
                if change.path == LAST:
                    return seen
                if change.waiter is not None:
                    seen.append(change.waiter.state)
        return seen

    def check(self) -> list[str]:
        """What is wrong with the files and services of nodes that agree; nothing, it is hoped."""
        texts = {name: self._conf(name).read_text() for name in self._processes}
        wrong = [f"{name} has another slurm.conf" for name in texts if texts[name] != texts[HEAD]]
        for name in self._processes:
            if f"\nNodeName={name} " not in texts[HEAD] and name != HEAD:
                wrong.append(f"slurm.conf does not know {name}")
            service = "slurmctld" if name == HEAD else "slurmd"
            if self._stack.get(f"nodes/{name}/services/{service}").value != "started":
                wrong.append(f"{service} is not started on {name}")
        return wrong

    def stop(self) -> None:
        """End all nodes."""
        self._stopping.set()
        self._ends.close()
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
        for reader in self._readers:
            reader.join()

    def say(self, name: str, what: str) -> None:
        """A line about a node, or about all."""
        print(f"{time.monotonic() - self._began:7.2f} s  {name:6} {what}", flush=True)

    def show(self) -> None:
        """The file that all agree on."""
        print(f"\n{self._conf(HEAD)}:\n{self._conf(HEAD).read_text()}", flush=True)

    def _conf(self, name: str) -> Path:
        return self._output / name / "slurm.conf"

    def _read(self, name: str, process: subprocess.Popen[str]) -> None:
        for line in process.stdout or ():
            self.say(name, line.rstrip())
        status = process.wait()
        if not self._stopping.is_set() and name not in self._killed:
            self.say("", f"{name} ended with status {status}")
            self.failed = True


def _every(group: str, fact: str, at_least: int) -> dict[str, Any]:
    wish = {"group": group, "fact": fact, "equals": "started", "at_least": at_least}
    return {"every_member": wish}


def _address(name: str) -> str:
    """An address for a node that has none of its own, from a network kept for examples."""
    return f"198.51.100.{1 if name == HEAD else 10 + int(name[1:])}"


def run(machines: Machines, args: argparse.Namespace) -> bool:
    """Let the cluster come up, then grow; whether all went well."""
    first = [HEAD, *(f"c{number + 1}" for number in range(args.computes))]
    later = [f"c{args.computes + number + 1}" for number in range(args.join)]
    for act in (
        lambda: machines.start(first, args.spread),
        (lambda: machines.start(later, args.spread)) if later else None,
        (lambda: machines.kill(args.kill)) if args.kill else None,
    ):
        if act is None:
            continue
        act()
        if not machines.wait(args.timeout):
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


def demonstrate(stack: Stack, args: argparse.Namespace) -> bool:
    """Run a cluster in a new stack and clean up; whether all went well."""
    with tempfile.TemporaryDirectory(prefix="slurm-") as scratch:
        machines = Machines(stack, args.output or Path(scratch))
        try:
            return run(machines, args)
        finally:
            machines.stop()
            if not args.keep:
                stack.delete_stack()


def main() -> int:
    """Run the cluster; 0 if all nodes converged."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stack", default="slurm", help="must not exist (default: %(default)s)")
    parser.add_argument("--computes", type=int, default=5, help="nodes at first, besides the head")
    parser.add_argument("--join", type=int, default=0, help="nodes that come when all is set up")
    parser.add_argument("--kill", type=int, default=0, help="compute nodes that then die unheard")
    parser.add_argument(
        "--spread", type=float, default=3.0, help="seconds over which nodes start at random"
    )
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds to converge in")
    parser.add_argument("--output", type=Path, help="keep the nodes' files in this directory")
    parser.add_argument("--keep", action="store_true", help="keep the stack for a look")
    args = parser.parse_args()
    if args.computes < 1 or args.join < 0 or args.computes + args.join > 200:
        parser.error("between 1 and 200 compute nodes, please")
    if not 0 <= args.kill < args.computes + args.join:
        parser.error("some compute node has to live")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        stack = connect().stack(args.stack)
        if exists(stack):
            print(f"stack {args.stack} exists already: delete it, or use --stack", file=sys.stderr)
            return 1
        stack.configure(description="A Slurm cluster, for example")
        return 0 if demonstrate(stack, args) else 1
    except (FactstoreError, ClientException) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
