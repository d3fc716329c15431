"""Backups of etcd, with the programs that come with it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from factstore.cmd.processes.etcd import EtcdServer, find_etcd


def save_backup(member: EtcdServer, backup: Path) -> None:
    """Write the contents of a cluster to a file."""
    _run("snapshot", "save", str(backup), "--endpoints", member.endpoint)


def restore_backup(
    member: EtcdServer, backup: Path, peers: Mapping[str, str] | None = None
) -> None:
    """Replace the data of a member that does not run.

    :param peers: the peer URL of each member of the cluster; None for this member alone.
    """
    peers = peers or {member.name: member.peer_url}
    cluster = ",".join(f"{name}={url}" for name, url in peers.items())
    member.wipe()
    _run(
        *("snapshot", "restore", str(backup), "--name", member.name),
        *("--data-dir", str(member.data_dir), "--initial-cluster", cluster),
        *("--initial-advertise-peer-urls", peers[member.name]),
        *("--initial-cluster-token", "restored"),
    )


def _run(*arguments: str) -> None:
    """Run the program that comes with etcd: ``etcdutl`` restores with version 3.6 or newer."""
    beside = Path(find_etcd()).parent
    offline = beside / "etcdutl"
    restores = "restore" in arguments and offline.exists()
    program = offline if restores else beside / "etcdctl"
    subprocess.run(
        [str(program), *arguments],
        check=True,
        capture_output=True,
        timeout=120,
        env={**os.environ, "ETCDCTL_API": "3"},
    )
