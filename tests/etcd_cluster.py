"""An etcd cluster of several members, for tests of fail-over."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from factstore.cmd.processes.etcd import EtcdServer
from factstore.cmd.processes.ports import LOOPBACK, free_port
from factstore.cmd.processes.process import ChildError, Pause


class EtcdCluster:
    """``size`` members on loopback. Kill, pause and restart them one by one through ``members``."""

    def __init__(
        self,
        state_dir: Path,
        size: int = 3,
        *,
        binary: str | None = None,
        extra_args: Sequence[str] = (),
    ) -> None:
        """Raises EtcdMissing."""
        names = [f"m{number}" for number in range(1, size + 1)]
        ports = {name: free_port() for name in names}
        peers = {name: f"http://{LOOPBACK}:{port}" for name, port in ports.items()}
        self.members = [
            EtcdServer(
                state_dir / name,
                name=name,
                peer_port=ports[name],
                peers=peers,
                binary=binary,
                extra_args=extra_args,
            )
            for name in names
        ]

    @property
    def endpoints(self) -> list[str]:
        """Every member's client URL."""
        return [member.endpoint for member in self.members]

    def start(self) -> None:
        """Start all members and return at once. Raises ChildError."""
        for member in self.members:
            member.start()

    def wait_ready(self, deadline: float = 20.0, pause: Pause = time.sleep) -> None:
        """Return once every running member serves reads. Raises ChildError."""
        end = time.monotonic() + deadline
        for member in self.members:
            if member.child.running:
                member.wait_ready(max(0.0, end - time.monotonic()), pause)

    def leader(self, deadline: float = 10.0, pause: Pause = time.sleep) -> EtcdServer:
        """The member that the answering majority follows, waiting for an election if need be.

        Raises ChildError if there is none after ``deadline`` seconds.
        """
        end = time.monotonic() + deadline
        while (found := self._elected()) is None:
            if time.monotonic() >= end:
                raise ChildError(f"the etcd members elected no leader within {deadline:g} s")
            pause(0.05)
        return found

    def followers(self) -> list[EtcdServer]:
        """The running members that do not lead. Raises ChildError as :meth:`leader` does."""
        leader = self.leader()
        return [each for each in self.members if each is not leader and each.child.running]

    def stop(self) -> None:
        """End all members at once, by force. Does not raise for those that have ended."""
        # Asked nicely, each leader in turn would first look for a successor, for seconds.
        for member in self.members:
            member.kill()

    def _elected(self) -> EtcdServer | None:
        members: dict[str, EtcdServer] = {}
        votes: list[str] = []
        for member in self.members:
            if not member.child.running:
                continue
            try:
                status = member.status()
            except (OSError, ValueError):
                continue
            members[str(status["header"]["member_id"])] = member
            votes.append(str(status.get("leader", "0")))
        for leader in set(votes):
            # A dead leader is still named by its followers until they notice.
            if votes.count(leader) * 2 > len(self.members) and leader in members:
                return members[leader]
        return None
