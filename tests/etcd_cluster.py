"""An etcd cluster of several members, for tests of fail-over."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from factstore.cmd.processes.etcd import EtcdServer, EtcdTls
from factstore.cmd.processes.ports import LOOPBACK, free_port
from factstore.cmd.processes.process import READY_SECONDS, ChildError, Pause


class EtcdCluster:
    """``size`` members on loopback. Kill, pause and restart them one by one through ``members``."""

    def __init__(
        self,
        state_dir: Path,
        size: int = 3,
        *,
        binary: str | None = None,
        extra_args: Sequence[str] = (),
        tls: EtcdTls | None = None,
        peer_url: Callable[[str, str], str] = lambda name, url: url,
    ) -> None:
        """Create the members without starting them. Raise EtcdMissing if etcd is not installed.

        ``peer_url`` returns the URL at which others reach the peer URL of a member, by its name.
        """
        names = [f"m{number}" for number in range(1, size + 1)]
        ports = {name: free_port() for name in names}
        urls = {name: f"http://{LOOPBACK}:{port}" for name, port in ports.items()}
        peers = {name: peer_url(name, url) for name, url in urls.items()}
        self.members = [
            EtcdServer(
                state_dir / name,
                name=name,
                peer_port=ports[name],
                peers=peers,
                binary=binary,
                extra_args=[*extra_args, "--initial-advertise-peer-urls", peers[name]],
                tls=tls,
            )
            for name in names
        ]

    @property
    def endpoints(self) -> list[str]:
        """The client URL of every member."""
        return [member.endpoint for member in self.members]

    def start(self) -> None:
        """Start all members without waiting. Raise ChildError if one cannot start."""
        for member in self.members:
            member.start()

    def wait_ready(self, deadline: float = READY_SECONDS, pause: Pause = time.sleep) -> None:
        """Wait until every running member serves reads. Raise ChildError after a timeout."""
        end = time.monotonic() + deadline
        for member in self.members:
            if member.child.running:
                member.wait_ready(max(0.0, end - time.monotonic()), pause)

    def leader(self, deadline: float = READY_SECONDS, pause: Pause = time.sleep) -> EtcdServer:
        """Return the leader of the majority, after an election if necessary.

        Raise ChildError if none is elected within ``deadline`` seconds.
        """
        end = time.monotonic() + deadline
        while (found := self._elected()) is None:
            if time.monotonic() >= end:
                raise ChildError(f"the etcd members elected no leader within {deadline:g} s")
            pause(0.05)
        return found

    def followers(self) -> list[EtcdServer]:
        """Return the running followers. Raise ChildError as :meth:`leader` does."""
        leader = self.leader()
        return [each for each in self.members if each is not leader and each.child.running]

    def stop(self) -> None:
        """Kill all members that are running."""
        # After SIGTERM, each leader would first look for a successor for several seconds.
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
            # Followers still name a dead leader until they detect its death.
            if votes.count(leader) * 2 > len(self.members) and leader in members:
                return members[leader]
        return None
