"""``python -m tests.fuzz`` runs schemathesis against a service, with the given arguments.

It starts etcd and the API; with ``--keystone`` first, also Keystone, whose member it then is. All other
arguments go to ``schemathesis run``.  What failed is kept in ``.schemathesis``, to be replayed.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from factstore.cmd.processes.etcd import EtcdServer
from factstore.cmd.processes.keystone import KeystoneServer
from tests.fuzz.running import command, environment
from tests.service import ApiServer, check_log

USUAL = ("--max-examples", "500")


def main(arguments: list[str]) -> int:
    """Start the processes, run schemathesis, and check the service's log."""
    with tempfile.TemporaryDirectory() as directory:
        base = Path(directory)
        etcd = EtcdServer(base / "etcd")
        keystone = KeystoneServer(base / "keystone") if arguments[:1] == ["--keystone"] else None
        try:
            etcd.start()
            etcd.wait_ready()
            if keystone is None:
                with ApiServer([etcd.endpoint], base / "api") as api:
                    return _run(api, base, None, arguments)
            keystone.prepare()
            keystone.start()
            keystone.wait_ready()
            with ApiServer(
                [etcd.endpoint], base / "api", auth="keystone", keystone=keystone
            ) as api:
                keystone.accounts.provision(api.url)
                return _run(api, base, keystone.accounts.issue("owner"), arguments[1:])
        finally:
            if keystone is not None:
                keystone.kill()
            etcd.kill()


def _run(api: ApiServer, base: Path, token: str | None, arguments: list[str]) -> int:
    argv = [*command(api.url, base, token), *USUAL, *arguments]
    status = subprocess.run(argv, env=environment(), check=False).returncode
    check_log(api)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
