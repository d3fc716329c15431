"""One node of a Slurm cluster: tells the others about itself, and configures itself from them.

Runs until it is stopped.  It is told its own name and role, the name of the stack, and the name of
the head node: not how many nodes there are, not who they are, and not in which order they come.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from keystoneauth1.exceptions import ClientException
from slurm_conf import Cluster

from factstore.client import Context, Put, Stack, connect
from factstore.client.errors import (
    Conflict,
    FactstoreError,
    NotFound,
    OutcomeUnknown,
    Unavailable,
)

TTL = 10  # seconds of silence after which a node counts as dead
BEATS = 3  # heartbeats in that time
QUIET = 0.3  # seconds without a change after which a node acts on what has changed
PATIENCE = 50  # seconds that a question to the service may take


class Node:
    """This node, and its part of the cluster.

    :param facts: what it tells about itself, by the last segment of the path.
    :param head: the name of the head node.
    :param directory: its slurm.conf is there, and the generation that it is as a member.
    :param command: run after each new slurm.conf; empty for nothing.
    :param settle: seconds of quiet for which it waits.
    :param ttl: seconds of silence after which it counts as dead.
    """

    def __init__(
        self,
        stack: Stack,
        name: str,
        facts: dict[str, object],
        *,
        head: str,
        directory: Path,
        command: Sequence[str] = (),
        settle: float = QUIET,
        ttl: int = TTL,
    ) -> None:
        self._stack = stack
        self._name = name
        self._facts = facts
        self._head = head
        self._group, self._daemon = ("head", "slurmctld") if name == head else ("compute", "slurmd")
        self._conf = directory / "slurm.conf"
        self._kept = directory / "generation"
        self._command = command
        self._settle = settle
        self._ttl = ttl
        self._member = stack.member(name)
        self._joining = threading.Lock()
        self._stopped = threading.Event()
        self._applied: Cluster | None = None
        self._cursor: str | None = None
        self.renders = 0

    def run(self) -> None:
        """Join, then converge whenever something changes; ends with the stack."""
        if self._kept.exists():  # it was here before: if nobody noticed, nobody need
            self._member.generation = self._kept.read_text()
        self._join()
        heart = threading.Thread(target=self._beat, name=f"{self._name} heart")
        heart.start()
        try:
            self._follow()
        finally:
            self._stopped.set()
            heart.join()

    def _join(self) -> None:
        """Be a member, and tell what others need to know: it goes when this node does."""
        with self._joining:
            while True:
                try:
                    record = self._member.join(self._group, ttl=self._ttl)
                    if not record.unchanged:  # what it told went with the one it was: tell it again
                        self._applied = None
                    # In one batch: nobody ever sees half a node.
                    self._stack.batch(
                        [
                            self._own(f"nodes/{self._name}/{at}", it)
                            for at, it in self._facts.items()
                        ]
                    )
                    break
                except Conflict:  # too late: it counts as dead, or another took the name
                    self._member.generation = None
                except (Unavailable, OutcomeUnknown) as error:
                    say(f"tries again: {error}")
            self._kept.write_text(record.generation)

    def _own(self, path: str, value: object) -> Put:
        """A fact that goes with this node, and that only this incarnation of it may write."""
        return Put(path, value, member=self._name, generation=self._member.generation)

    def _beat(self) -> None:
        """Say that this node lives, and how far it has come."""
        while not self._stopped.wait(self._ttl / BEATS):
            try:
                self._tell_applied()
            except (Unavailable, OutcomeUnknown) as error:
                say(f"goes on alone: {error}")

    def _tell_applied(self) -> None:
        try:
            self._member.heartbeat(applied=self._cursor)
        except (NotFound, Conflict):
            if not self._gone():
                say("was given up for dead, and joins again")
                self._join()

    def _gone(self) -> bool:
        """Whether the stack is."""
        try:
            self._stack.describe()
        except NotFound:
            self._stopped.set()
        return self._stopped.is_set()

    def _follow(self) -> None:
        etag: str | None = None
        while not self._stopped.is_set():
            try:
                context = self._read(etag)
            except Unavailable as error:
                say(f"goes on alone: {error}")
                continue
            except NotFound:  # the stack went, or only this member
                if self._gone():
                    return
                self._join()
                continue
            if context is None:
                continue
            etag = context.etag
            try:
                self._converge(context)
            except (Unavailable, OutcomeUnknown) as error:  # perhaps told, and told once more
                say(f"tries again: {error}")
                etag = self._applied = None

    def _read(self, etag: str | None) -> Context | None:
        """The context when it is another than is known, and quiet."""
        if etag is None:
            return self._stack.context(member=self._name)
        return self._stack.context(
            member=self._name, if_none_match=etag, wait=PATIENCE, settle=self._settle
        )

    def _converge(self, context: Context) -> None:
        """Bring this node in line with a context; does nothing where that is so already."""
        cluster = Cluster.of(context.document, self._head)
        if cluster is None:
            say("waits for the head" if self._group == "compute" else "waits for a compute node")
            return
        if cluster != self._applied:
            text = cluster.slurm_conf()
            self._install(text)
            count = len(cluster.computes)
            say(f"wrote slurm.conf with {count} compute node{'s' if count > 1 else ''}")
            self._applied = cluster
            self._tell(text, count)
        # Whatever else has changed is applied as well: nothing was to be done for it.
        self._cursor = context.cursor
        self._tell_applied()

    def _tell(self, text: str, count: int) -> None:
        """Post what this node has done; not once it was removed, for that would bring it back."""
        digest = hashlib.sha256(text.encode()).hexdigest()
        done = [
            self._own(f"nodes/{self._name}/services/{self._daemon}", "started"),
            # Results are no part of the context: telling them wakes nobody who converges.
            self._own(f"results/{self._name}/slurm.conf", {"sha256": digest, "computes": count}),
        ]
        try:
            self._stack.batch(done)
            self._member.ready()
        except (NotFound, Conflict):
            if not self._gone():
                self._join()

    def _install(self, text: str) -> None:
        """Replace slurm.conf, and have its daemons read it."""
        self.renders += 1
        new = self._conf.with_suffix(".new")
        new.write_text(text)
        new.replace(self._conf)
        if self._command:
            subprocess.run(  # noqa: S603 - what the operator wants run
                self._command, check=True, env={**os.environ, "SLURM_CONF": str(self._conf)}
            )


def say(what: str) -> None:
    """A line for whoever looks on."""
    print(what, flush=True)


def own_address() -> str:
    """The address that this machine uses to reach others; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        address: str = probe.getsockname()[0]
        return address


def main() -> int:
    """Run a node; 0 when it was stopped or its stack was deleted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stack", default="slurm")
    parser.add_argument(
        "--name", default=socket.gethostname().partition(".")[0], help="the head's is --head"
    )
    parser.add_argument("--role", choices=["head", "compute"], required=True)
    parser.add_argument("--head", default="head", help="the name of the head node")
    parser.add_argument("--ip", help="this node's address (default: found out)")
    parser.add_argument("--cpus", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--run", default="", metavar="COMMAND", help="run it after each new slurm.conf"
    )
    args = parser.parse_args()
    if args.role == "compute" and args.name == args.head:
        parser.error(f"{args.name} is the name of the head node")
    facts: dict[str, object] = {"ip": args.ip or own_address()}
    if args.role == "compute":
        facts["cpus"] = args.cpus
    args.output.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    name = args.head if args.role == "head" else args.name
    try:
        stack = connect().stack(args.stack)
        node = Node(
            stack,
            name,
            facts,
            head=args.head,
            directory=args.output,
            command=shlex.split(args.run),
        )
        try:
            node.run()
        except (OSError, subprocess.CalledProcessError) as error:
            say(f"gives up: {error}")
            stack.put(f"results/{name}/failure", str(error))
            return 1
    except (FactstoreError, ClientException) as error:
        say(f"gives up: {error}")
        return 1
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
