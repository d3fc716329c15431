"""Mirrors of a context: through grants, expiries, restarts, and on any worker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from factstore.client import Context, Mirror, Stack, connect
from factstore.client.errors import NotFound
from factstore.cmd.processes.etcd import EtcdServer
from tests.eventually import eventually
from tests.grants import Held, issue, issue_reader
from tests.http import Caller, fresh_stack
from tests.service import ApiServer, check_log


def client(url: str, name: str, grant: Held | None = None) -> Stack:
    """Return a stack as an owner, or as the holder of a grant."""
    environ = {"OS_AUTH_TYPE": "none", "OS_ENDPOINT": url}
    if grant is not None:
        environ["OS_AUTH_TYPE"] = "http_basic"
        environ |= {"OS_USERNAME": grant.id, "OS_PASSWORD": grant.secret}
    return connect(environ).stack(name)


def assert_same(mirror: Mirror, stack: Stack, **view: str) -> Context:
    """Update a mirror, and compare it with the document that the service sends."""
    context = mirror.update()
    whole = stack.context(**view)  # type: ignore[call-overload]
    assert json.dumps(context.document) == json.dumps(whole.document)
    assert (mirror.synced, mirror.stale, mirror.mismatches) == (True, False, 0)
    return context


def name_of(stack: str) -> str:
    return stack.rpartition("/")[2]


def test_each_reader_of_a_stack_follows_what_it_may_read(
    server: ApiServer, api: Caller, granted: str
) -> None:
    name = name_of(granted)
    owner = client(server.url, name)
    owner.member("c1").join("compute")
    readers = {
        "owner": owner,
        "agent": client(server.url, name, issue(api, granted, "c1")),
        "reader": client(server.url, name, issue_reader(api, granted)),
    }
    views = {"owner": {}, "agent": {"member": "c1"}, "reader": {"view": "none"}}
    mirrors = {who: stack.mirror(**views[who]) for who, stack in readers.items()}  # type: ignore[arg-type]

    def compare() -> dict[str, Context]:
        return {who: assert_same(mirrors[who], readers[who], **views[who]) for who in readers}

    compare()
    owner.put("configs/c2/a", "changed")
    first = compare()
    owner.put("configs/c2/key", "canary", sensitive=True)
    owner.put("nodes/c2/key", "canary", sensitive=True)
    owner.delete("configs/c1/a")
    owner.delete("nodes/c2/ip")
    owner.put("shared", {"a": {"b": 1.0}})
    owner.put("results/c1/x", 1)
    second = compare()
    owner.delete("nodes/c2/key")
    owner.put("configs/c2/key", "open")
    owner.member("c1").ready()
    compare()
    for mirror in mirrors.values():
        assert (mirror.documents, mirror.deltas) == (1, 3)
    assert first["agent"].facts["configs"] == {"c1": {"a": "mine"}}
    assert "configs" not in second["agent"].facts
    assert second["reader"].sensitive.keys() == {"nodes/c2/key"}


def test_a_mirror_follows_members_that_expire(server: ApiServer, stack: str) -> None:
    owner = client(server.url, name_of(stack))
    member = owner.member("c1")
    member.join("compute", ttl=5)
    owner.put("nodes/c1/ip", 1, member="c1")
    mirror, own = owner.mirror(), owner.mirror(member="c1")
    assert mirror.update().members.keys() == {"c1"}
    own.update()
    assert not mirror.update(wait=30).members
    assert_same(mirror, owner)
    with pytest.raises(NotFound):
        own.update()
    assert own.stale
    assert own.context is not None
    assert mirror.documents == 1


def test_a_mirror_begins_again_with_a_recreated_stack(server: ApiServer, stack: str) -> None:
    owner = client(server.url, name_of(stack))
    owner.put("a", 1)
    changes: list[tuple[Context, Context | None]] = []
    mirror = owner.mirror(on_change=lambda new, old: changes.append((new, old)))
    before = mirror.update()
    owner.delete_stack()
    with pytest.raises(NotFound):
        mirror.update(wait=30)
    owner.put("b", 2)
    after = assert_same(mirror, owner)
    assert after.facts == {"b": 2}
    assert changes == [(before, None), (after, before)]
    assert (mirror.documents, mirror.deltas) == (2, 0)


def test_a_damaged_copy_is_replaced(
    server: ApiServer, stack: str, caplog: pytest.LogCaptureFixture
) -> None:
    owner = client(server.url, name_of(stack))
    owner.put("a", 1)
    owner.put("b", 1)
    true = owner.mirror().update()
    damaged = Context({**true.document, "facts": {"a": 1, "b": 2}}, true.etag, true.cursor)
    mirror = owner.mirror(known=damaged)
    assert mirror.update().document == true.document
    assert (mirror.documents, mirror.deltas, mirror.mismatches) == (1, 1, 1)
    assert "reading the whole context again" in caplog.text


def test_a_wait_settles(server: ApiServer, stack: str) -> None:
    owner = client(server.url, name_of(stack))
    owner.put("a", 1)
    mirror = owner.mirror(settle=0.5)
    mirror.update()
    for n in range(20):
        owner.put(f"n/{n}", n)
    assert len(mirror.update(wait=30).facts["n"]) == 20
    assert mirror.deltas == 1


# Restarts


@pytest.fixture
def service(private_etcd: EtcdServer, tmp_path: Path) -> Iterator[ApiServer]:
    """Two workers, on an etcd that the test restarts."""
    with ApiServer([private_etcd.endpoint], tmp_path / "api", workers=2) as running:
        yield running
        check_log(running)


def test_a_mirror_goes_on_after_restarts_of_workers_and_of_etcd(
    service: ApiServer, private_etcd: EtcdServer
) -> None:
    owner = client(service.url, fresh_stack())
    owner.put("a", 0)
    mirror = owner.mirror()
    mirror.update()
    for n in range(1, 20):
        owner.put("a", n)
        assert assert_same(mirror, owner).facts == {"a": n}
    owner.put("b", 1)
    service.restart()
    owner.put("c", 1)
    assert_same(mirror, owner)
    owner.put("d", 1)
    private_etcd.restart()
    eventually(lambda: service.healthy())
    owner.put("e", 1)
    assert_same(mirror, owner)
    # A starting worker reads etcd's history, so even then nothing is read again.
    assert (mirror.documents, mirror.deltas) == (1, 21)


def test_a_mirror_reads_the_whole_context_when_the_history_is_not_in_memory(
    private_etcd: EtcdServer, tmp_path: Path
) -> None:
    options = {"watch": {"history_events": 10}}
    with ApiServer([private_etcd.endpoint], tmp_path / "api", options=options) as running:
        owner = client(running.url, fresh_stack())
        owner.put("a", 0)
        mirror = owner.mirror()
        mirror.update()
        for n in range(20):
            owner.put("a", n)
        assert_same(mirror, owner)
        owner.put("a", -1)
        assert_same(mirror, owner)
        assert (mirror.documents, mirror.deltas) == (2, 1)
        check_log(running)
