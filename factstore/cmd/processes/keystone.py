"""A private, real Keystone on the loopback interface: SQLite, Fernet tokens, one worker process."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from factstore import SERVICE_TYPE
from factstore.client.os_errors import described
from factstore.cmd.processes.accounts import Accounts
from factstore.cmd.processes.ports import LOOPBACK, remembered_port
from factstore.cmd.processes.private_file import private_directory, write_private
from factstore.cmd.processes.probe import Probe
from factstore.cmd.processes.process import (
    READY_SECONDS,
    Child,
    ChildError,
    Pause,
    python_environment,
    run_to_end,
)

# keystone.cmd.manage has no __main__ guard, and the script beside the interpreter may be absent.
MANAGE = "from keystone.cmd.manage import main; main()"

_CONF = """\
[DEFAULT]
use_stderr = true

[database]
connection = sqlite:///{state}/keystone.db

[token]
provider = fernet
expiration = {token_expiration}

[fernet_tokens]
key_repository = {state}/fernet-keys

[fernet_receipts]
key_repository = {state}/fernet-keys

[credential]
key_repository = {state}/credential-keys

[identity]
# The passwords are long and random. Slow hashing would not protect them and costs 200 ms a login.
password_hash_rounds = 4

[cache]
enabled = true
backend = oslo_cache.dict
"""

_GUNICORN = """\
import ctypes
import gc

# Keystone imports for seconds, a fifth of which would be garbage collections.
gc.set_threshold(20_000, 20, 100)
wsgi_app = "keystone.wsgi.api:application"
bind = "{host}:{port}"
# One process: with in-process caches, other workers would accept a revoked token for minutes.
workers = 1
worker_class = "gthread"
# One request at a time: SQLite refuses a transaction that meets another one ("database is locked").
threads = 1
graceful_timeout = 2
control_socket_disable = True


def post_fork(server, worker):
    # The master dies with its supervisor; this makes the worker die with the master.
    ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
"""


class KeystoneMissing(ChildError):
    """Keystone is not installed for the interpreter that should run it."""


def find_keystone() -> str:
    """Return the interpreter for Keystone: ``FACTSTORE_KEYSTONE_PYTHON`` or the current one.

    Raises KeystoneMissing.
    """
    python = os.environ.get("FACTSTORE_KEYSTONE_PYTHON") or sys.executable
    find = "from importlib.util import find_spec as f; raise SystemExit(not (f('keystone') and f("
    try:
        probe = subprocess.run([python, "-c", find + "'gunicorn')))"], check=False)  # noqa: S603
    except OSError as error:
        raise KeystoneMissing(
            f"cannot run FACTSTORE_KEYSTONE_PYTHON={python}: {described(error)}"
        ) from error
    if probe.returncode:
        raise KeystoneMissing(
            f"{python} has no Keystone: pip install 'openstack-factstore[server,keystone]'"
        )
    return python


class KeystoneServer:
    """Keystone with all its state in one directory, which can be copied while Keystone is stopped.

    The first :meth:`prepare` of a directory creates the schema, the keys and the administrator. The
    other methods return at once; only :meth:`wait_ready` waits until Keystone serves requests.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        port: int | None = None,
        token_expiration: int = 3600,
        log_path: Path | None = None,
        service_type: str = SERVICE_TYPE,
        make_child: Callable[[str], Child] = Child,
    ) -> None:
        """The default of ``port`` is the port used before in ``state_dir``, or a free one.

        :param make_child: makes the processes of a given name, which need not be started as commands.

        Raises KeystoneMissing, and OSError if ``state_dir`` cannot be used.
        """
        self._python = find_keystone()
        self.state_dir = state_dir.absolute()
        private_directory(self.state_dir)
        self.log_path = log_path or self.state_dir / "keystone.log"
        self.port = port or remembered_port(self.state_dir / "port")
        self.token_expiration = token_expiration
        self._service_type = service_type
        self._make_child = make_child
        self.child = make_child("keystone")
        self._probe = Probe(f"http://{LOOPBACK}:{self.port}")

    @property
    def auth_url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}/v3"

    @property
    def accounts(self) -> Accounts:
        """The projects and users of this Keystone. Raises ChildError before :meth:`prepare`."""
        try:
            passwords = json.loads(self._passwords_file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ChildError(
                f"Keystone was not prepared in {self.state_dir}: {described(error)}"
            ) from error
        return Accounts(self.auth_url, passwords, self._service_type)

    def prepare(self, deadline: float = READY_SECONDS, pause: Pause = time.sleep) -> None:
        """Write the configuration and, on the first call, the keys, the schema and the administrator.

        If the first call was interrupted, the next one starts again. Raises ChildError, OSError.
        """
        state = str(self.state_dir).replace("$", "$$")  # oslo.config substitutes variables
        conf = _CONF.format(state=state, token_expiration=self.token_expiration)
        write_private(self._conf, conf)
        write_private(self._gunicorn_conf, _GUNICORN.format(host=LOOPBACK, port=self.port))
        if self._passwords_file.exists():
            return
        (self.state_dir / "keystone.db").unlink(missing_ok=True)
        for repository in ("fernet-keys", "credential-keys"):
            _write_keys(self.state_dir / repository)
        passwords = Accounts.new_passwords()
        self._manage(["db_sync"], deadline, pause)
        urls = [f"--bootstrap-{kind}-url={self.auth_url}" for kind in _INTERFACES]
        bootstrap = ["bootstrap", "--bootstrap-region-id=RegionOne", *urls]
        self._manage(bootstrap, deadline, pause, OS_BOOTSTRAP_PASSWORD=passwords["admin"])
        # Last, because the existence of this file means that everything else is complete.
        write_private(self._passwords_file, json.dumps(passwords, indent=2))

    def start(self) -> None:
        """Start Keystone and return at once. Raises ChildError."""
        env = {
            **python_environment(),
            "OS_KEYSTONE_CONFIG_FILES": str(self._conf),
            # Not as an argument, because Keystone would parse it.
            "GUNICORN_CMD_ARGS": f"--config {shlex.quote(str(self._gunicorn_conf))}",
        }
        # gunicorn imports from the working directory too. stevedore caches the entry points for each
        # path, and takes half a second for a new one.
        argv = [self._python, "-m", "gunicorn"]
        self.child.start(argv, log_path=self.log_path, env=env, cwd=Path("/"))

    def wait_ready(self, deadline: float = READY_SECONDS, pause: Pause = time.sleep) -> None:
        """Wait until Keystone serves requests. Raises ChildError."""
        self.child.wait_until(lambda: self._probe.status("/v3") == 200, deadline, pause)

    def stop(self, deadline: float = 5.0) -> None:
        """Stop Keystone; after ``deadline`` seconds, kill it."""
        self.child.terminate(deadline)

    def kill(self) -> None:
        """Send SIGKILL to Keystone and its worker."""
        self.child.kill()

    def pause(self) -> None:
        """Freeze Keystone: the kernel accepts connections, but there are no responses."""
        self.child.pause()

    def resume(self) -> None:
        """Undo :meth:`pause`."""
        self.child.resume()

    @property
    def _conf(self) -> Path:
        return self.state_dir / "keystone.conf"

    @property
    def _gunicorn_conf(self) -> Path:
        return self.state_dir / "gunicorn.conf.py"

    @property
    def _passwords_file(self) -> Path:
        return self.state_dir / "passwords.json"

    def _manage(self, arguments: list[str], deadline: float, pause: Pause, **env: str) -> None:
        run_to_end(
            self._make_child(f"keystone-manage {arguments[0]}"),
            [self._python, "-c", MANAGE, "--config-file", str(self._conf), *arguments],
            log_path=self.log_path,
            deadline=deadline,
            env={**python_environment(), **env},
            pause=pause,
        )


_INTERFACES = ("public", "internal", "admin")


def _write_keys(repository: Path) -> None:
    """Write a staged (0) and a primary (1) key, like ``keystone-manage fernet_setup``."""
    shutil.rmtree(repository, ignore_errors=True)
    private_directory(repository)
    for name in ("0", "1"):
        # The same format as Keystone's: 32 random bytes in URL-safe base64.
        write_private(repository / name, base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())
