"""The guide to a full store empties one, with the commands that it shows."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from http import HTTPStatus
from pathlib import Path

from factstore.cmd.processes.etcd import EtcdServer
from factstore.store.keyspace import Keyspace
from factstore.store.types import Credentials
from tests.docs.pages import code
from tests.eventually import eventually
from tests.http import Caller, refused
from tests.patient_client import PatientClient
from tests.service import ApiServer

QUOTA = 2 * 1024 * 1024


def has_no_data(etcd: EtcdServer) -> bool:
    raw = PatientClient([etcd.endpoint], Credentials())
    try:
        data = Keyspace("/factstore/v1").all_data
        return not raw.get(*data, limit=1, deadline=time.monotonic() + 60).items
    finally:
        raw.close()


def test_the_guide_empties_a_full_store(tmp_path: Path) -> None:
    etcd = EtcdServer(tmp_path / "etcd", extra_args=["--quota-backend-bytes", str(QUOTA)])
    etcd.start()
    try:
        etcd.wait_ready()
        with ApiServer([etcd.endpoint], tmp_path / "api") as server, Caller(server.url) as api:
            stack = "/v1/stacks/full"
            assert api.put(f"{stack}/facts/kept", "x").status_code == HTTPStatus.CREATED
            joined = api.put(f"{stack}/members/m", json={"group": "g", "ttl": 600}).json()
            answer = api.put(f"{stack}/facts/grows", "0" * 60_000)
            for number in range(1, 200):
                if answer.status_code >= HTTPStatus.BAD_REQUEST:
                    break
                answer = api.put(f"{stack}/facts/grows", f"{number % 10}" * 60_000)
            refused(answer, "503 storage_full")
            assert "defragment" in answer.json()["detail"]
            fence = {"Factstore-Generation": joined["generation"]}
            for gone, headers in (("facts/grows", {}), ("members/m", fence)):
                deleted = api.delete(f"{stack}/{gone}", headers=headers)
                assert deleted.status_code == HTTPStatus.NO_CONTENT, deleted.text
            remove, make_room, check = code("admin/full-store.rst", "shell")
            env = os.environ | {
                "STACK": f"{server.url}{stack}",
                "TOKEN": "none",
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "OS_FACTSTORE_CONFIG_FILES": str(tmp_path / "api" / "factstore.conf"),
            }

            def run(*blocks: str) -> str:
                script = "\n".join(["set -eu -o pipefail", *blocks])
                done = subprocess.run(
                    ["bash", "-c", script.replace("http://127.0.0.1:2379", etcd.endpoint)],
                    capture_output=True,
                    text=True,
                    env=env,
                    timeout=120,
                )
                assert done.returncode == 0, done.stderr
                return done.stdout

            run(remove)
            eventually(lambda: has_no_data(etcd))  # a worker deletes them after the response
            assert "NOSPACE" in run(make_room, check)
            assert api.get(stack).status_code == HTTPStatus.NOT_FOUND
            assert api.put(f"{stack}/facts/kept", "x").status_code == HTTPStatus.CREATED
            assert int(etcd.status()["dbSize"]) < QUOTA // 2
    finally:
        etcd.stop()
