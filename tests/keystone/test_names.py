"""Names that are only in ``/etc/hosts``, on hosts whose DNS server does not answer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from factstore.cmd.processes.api import API_ARGV, write_options
from factstore.cmd.processes.etcd import EtcdServer
from factstore.cmd.processes.keystone import KeystoneServer
from factstore.cmd.processes.notifier import NotifierProcess
from factstore.cmd.processes.ports import free_port
from tests.eventually import eventually
from tests.faults.receivers import Receivers
from tests.http import fresh_stack
from tests.keystone.conftest import with_token
from tests.memcached import Memcached
from tests.names import ChildWithNames, with_names
from tests.service import ApiServer, check_log

HOSTS = "127.0.0.1 localhost etcd-of-test keystone-of-test cache-of-test hook.of.test hook\n"

_MOVES = """\
import socket, threading
from pathlib import Path
import gevent
from gevent import monkey; monkey.patch_all()
from factstore.cmd.notifier.resolver import LoopResolver

def answer(query):
    # A header with one answer, the question, and an address of its type: A or AAAA.
    name, kind = query[12:query.index(0, 12) + 1], query[query.index(0, 12) + 1:][:4]
    held = name == b"\\x05moved\\x07example\\x03org\\0" and kind[1] == 1
    head = query[:2] + (b"\\x81\\x80" if held else b"\\x81\\x83") + b"\\0\\1\\0" + bytes([held])
    address = b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\0\\0\\4\\x0a\\1\\2\\3" if held else b""
    return head + bytes(4) + name + kind + address

def serve():
    while True:
        query, sender = server.recvfrom(4096)
        server.sendto(answer(query), sender)

resolve = LoopResolver()
print(*resolve("six", 80, 20))
try:
    print(*resolve("moved", 80, 20))
except OSError:
    print("unknown")
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
gevent.spawn(serve)
Path("/etc/resolv.conf").write_text("nameserver 127.0.0.1\\nsearch example.org\\n")
print(*resolve("moved", 80, 20))
print(*resolve("six", 80, 20))
"""


def test_all_parts_of_the_service_find_names_of_etc_hosts(
    etcd: EtcdServer, keystone: KeystoneServer, tmp_path: Path
) -> None:
    names = with_names(tmp_path, HOSTS)
    cache, port = Memcached(tmp_path), free_port()
    auth = f"http://keystone-of-test:{urlsplit(keystone.accounts.auth_url).port}/v3"
    authtoken = {"auth_url": auth, "memcached_servers": f"cache-of-test:{cache.port}"}
    server = ApiServer(
        [f"http://etcd-of-test:{urlsplit(etcd.endpoint).port}"],
        tmp_path / "api",
        auth="keystone",
        keystone=keystone,
        options={
            "keystone_authtoken": authtoken,
            "notify": {"allow_http": "true", "allow_cidrs": "127.0.0.0/8"},
        },
        argv=[*names, *API_ARGV],
    )
    config = tmp_path / "notify.conf"
    write_options(config, {"notify": {"port": port}})
    notifier = NotifierProcess([server.config, config], port, tmp_path / "notify.log")
    notifier.child = ChildWithNames("the notifier", names)
    stack = fresh_stack()
    cache.start()
    try:
        with (
            Receivers() as receivers,
            server,
            with_token(server, keystone.accounts.issue("owner")) as owner,
        ):
            notifier.start()
            notifier.wait_ready(90)
            targets = [
                f"http://{name}:{receivers.port}/{name}" for name in ("hook", "hook.of.test")
            ]
            for target in targets:
                wanted = {"target": target, "stacks": [stack]}
                answer = owner.post("/v1/subscriptions", json=wanted)
                assert answer.status_code == 201, answer.text
                receivers.boxes[urlsplit(target).path].secret = answer.json()["secret"]
            assert owner.put(f"/v1/stacks/{stack}/facts/a", json={"value": 1}).status_code == 201
            eventually(
                lambda: all(receivers.boxes[urlsplit(each).path].revisions() for each in targets),
                60,
            )
            assert cache.items() > 0
            check_log(server)
    finally:
        notifier.kill()
        cache.kill()


def test_the_notifier_asks_the_name_servers_that_resolv_conf_names_now(tmp_path: Path) -> None:
    names = with_names(tmp_path, "127.0.0.1 localhost\n::1 six\n")
    namespace = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    done = subprocess.run(
        [*namespace, *names, sys.executable, "-c", _MOVES],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["::1", "unknown", "10.1.2.3", "::1"]
