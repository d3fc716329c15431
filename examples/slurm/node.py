"""One node of a Slurm cluster: tells the others about itself, and configures itself from them.

Runs until it is stopped.  It is told its own name and role, the name of the stack, and the name of
the head node: not how many nodes there are, not who they are, and not in which order they come.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from keystoneauth1.exceptions import ClientException
from slurm_conf import Cluster

from factstore.client import Guard, Put, Stack, connect
from factstore.client.errors import FactstoreError, NotFound, PreconditionFailed

HEAD_SECONDS = 3600.0  # how long a compute node waits for the head


class Node:
    """This node, and its part of the cluster.

    :param facts: what it tells about itself, by the last segment of the path.
    :param daemon: what runs on it: ``slurmctld`` or ``slurmd``.
    :param conf: where its slurm.conf is.
    :param command: run after each new slurm.conf; empty for nothing.
    """

    def __init__(
        self,
        stack: Stack,
        name: str,
        facts: dict[str, object],
        *,
        head: str,
        daemon: str,
        conf: Path,
        command: list[str],
    ) -> None:
        self._stack = stack
        self._name = name
        self._facts = facts
        self._head = head
        self._daemon = daemon
        self._conf = conf
        self._command = command
        self._applied: Cluster | None = None
        self._etag: str | None = None

    def run(self) -> None:
        """Announce, then converge whenever something changes; ends with the stack."""
        # In one batch: nobody ever sees half a node.
        self._stack.batch(
            [Put(f"nodes/{self._name}/{fact}", value) for fact, value in self._facts.items()]
        )
        if self._name == self._head:
            say("waits for a first compute node, whatever its name")
        else:
            path = f"nodes/{self._head}/ip"
            say(f"waits for {path}")
            began = time.monotonic()
            address = self._stack.wait(path, HEAD_SECONDS).value
            say(f"learned {path} = {address} after {time.monotonic() - began:.2f} s")
        # The snapshot that comes first stands for whatever happened before the watch began.
        with self._stack.watch(prefix="nodes", initial=True) as watch:
            for _ in watch:
                self._converge()

    def _converge(self) -> None:
        """Bring this node in line with the context; does nothing where that is so already."""
        try:
            context = self._stack.context(if_none_match=self._etag)
        except NotFound:
            return  # the stack is gone, and the watch is about to end
        if context is None:
            return
        self._etag = context.etag
        cluster = Cluster.of(context.document, self._head)
        if cluster is None or cluster == self._applied:
            return
        text = cluster.slurm_conf()
        self._install(text)
        count = len(cluster.computes)
        say(f"wrote slurm.conf with {count} compute node{'s' if count > 1 else ''}")
        self._applied = cluster
        self._tell(text, count)

    def _tell(self, text: str, count: int) -> None:
        """Post what this node has done; not once it was removed, for that would bring it back."""
        digest = hashlib.sha256(text.encode()).hexdigest()
        done = [
            Put(f"nodes/{self._name}/services/{self._daemon}", "started"),
            # Results are no part of the context: telling them wakes nobody who converges.
            Put(f"results/{self._name}/slurm.conf", {"sha256": digest, "computes": count}),
        ]
        with contextlib.suppress(PreconditionFailed):
            self._stack.batch(done, [Guard.exists(f"nodes/{self._name}/ip")])

    def _install(self, text: str) -> None:
        """Replace slurm.conf, and have its daemons read it."""
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
    try:
        Node(
            connect().stack(args.stack),
            args.head if args.role == "head" else args.name,
            facts,
            head=args.head,
            daemon="slurmctld" if args.role == "head" else "slurmd",
            conf=args.output / "slurm.conf",
            command=shlex.split(args.run),
        ).run()
    except (FactstoreError, ClientException, OSError, subprocess.CalledProcessError) as error:
        say(f"gives up: {error}")
        return 1
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
