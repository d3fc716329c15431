"""F12: the last fault of a run, after which revisions begin again at those of an older backup."""

from __future__ import annotations

from pathlib import Path

from tests.etcd_backup import restore_backup, save_backup
from tests.eventually import eventually
from tests.faults.checker import History, Scope, check_watcher
from tests.faults.readiness import ask, listed, page, put
from tests.faults.watchers import PollWatcher, StreamWatcher, Watcher
from tests.gate.clients import PROJECT
from tests.gate.world import World

LOST = 200  # writes after the backup, which are lost
STACK = "restored"
URL = f"/v1/stacks/{STACK}"


def restore_older_backup(world: World) -> None:
    """Restore a backup while services run, and check that nobody confuses the two histories."""
    first, began = world.services["a"], world.witness.catch_up()
    put(first, STACK, "kept", 1)
    cursor = page(first, STACK)["cursor"]
    backup = world.directory / "backup.db"
    save_backup(world.cluster.members[0], backup)
    kinds = (StreamWatcher, PollWatcher)
    urls = [service.url for service in world.services.values()]
    watchers: list[Watcher] = [kind(kind.__name__, urls, STACK, cursor=cursor) for kind in kinds]
    for watcher in watchers:
        watcher.start()
    last = [put(first, STACK, "lost", number) for number in range(LOST)][-1]
    for watcher in watchers:
        eventually(lambda w=watcher: w.position >= last["revision"])
    late = page(first, STACK)["cursor"]
    _restore(world, backup)
    for service in world.services.values():
        eventually(lambda s=service: ask(s, "GET", f"{URL}/facts/lost").status == 404)
        eventually(lambda s=service: ask(s, "GET", f"{URL}/facts/kept").status == 200)
        assert ask(service, "GET", f"{URL}/events?since={late}").status == 410
    end = put(world.services["b"], STACK, "end", 1)
    assert end["revision"] < last["revision"]
    for watcher in watchers:
        eventually(lambda w=watcher: w.complaints or (w.resets and w.position >= end["revision"]))
        watcher.stop()
    history, scope = History(world.witness.keyspace), Scope(PROJECT, STACK)
    history.revision = began  # what is older may have been compacted
    newest = max(watcher.position for watcher in watchers)
    eventually(lambda: _witnessed(world, history, newest))
    for watcher in watchers:
        assert watcher.complaints == [], watcher.complaints
        kept = watcher.segments[-1:]
        assert check_watcher(history, scope, "", kept, end["revision"]) == [], watcher.name
    for service in world.services.values():
        assert listed(service, STACK) == history.state(scope)


def _restore(world: World, backup: Path) -> None:
    members = world.cluster.members
    for member in members:
        member.kill()
    for member in members:
        restore_backup(member, backup, world.peers)
    for member in members:
        member.start()
    world.cluster.wait_ready(120)


def _witnessed(world: World, history: History, revision: int) -> bool:
    world.witness.raw.witness(history)
    return history.revision >= revision
