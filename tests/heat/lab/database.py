"""A private MariaDB on the loopback interface."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

from factstore.cmd.processes.ports import LOOPBACK, free_port
from factstore.cmd.processes.private_file import private_directory
from factstore.cmd.processes.process import Child, Pause, run_to_end


class DatabaseServer:
    """An empty MariaDB that accepts every connection.

    Only :meth:`wait_ready` waits for it to serve.
    """

    def __init__(self, state_dir: Path) -> None:
        private_directory(state_dir)
        private_directory(state_dir / "tmp")
        self.port = free_port()
        self.child = Child("mariadb")
        self._state = state_dir
        self._environment = {
            **os.environ,
            # Debian installs the server outside users' PATH.
            "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin",
            # A server that starts removes the temporary tables of all servers with the same directory.
            "TMPDIR": str(state_dir / "tmp"),
        }

    def _prepare(self, deadline: float = 120.0, pause: Pause = time.sleep) -> None:
        """Create its files. Raises ChildError."""
        run_to_end(
            Child("mariadb-install-db"),
            [
                "mariadb-install-db",
                "--no-defaults",
                f"--datadir={self._state / 'data'}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ],
            log_path=self._state / "install.log",
            deadline=deadline,
            env=self._environment,
            pause=pause,
        )

    def start(self) -> None:
        """Create its files, start it and return before it serves. Raises ChildError."""
        self._prepare()
        run_as = ["--user=root"] if os.geteuid() == 0 else []
        self.child.start(
            [
                "mariadbd",
                "--no-defaults",
                *run_as,
                f"--datadir={self._state / 'data'}",
                f"--socket={self._state / 'socket'}",
                f"--pid-file={self._state / 'pid'}",
                f"--bind-address={LOOPBACK}",
                f"--port={self.port}",
                "--skip-grant-tables",
                "--skip-networking=0",
                "--innodb-flush-log-at-trx-commit=0",  # nobody needs the data after a crash
            ],
            log_path=self._state / "mariadb.log",
            env=self._environment,
        )

    def wait_ready(self, deadline: float = 90.0, pause: Pause = time.sleep) -> None:
        """Return once it takes connections. Raises ChildError."""
        self.child.wait_until(self._listens, deadline, pause)

    def url(self, database: str) -> str:
        """Return SQLAlchemy's URL of a database."""
        return f"mysql+pymysql://root@{LOOPBACK}:{self.port}/{database}?charset=utf8mb4"

    def create(self, database: str) -> None:
        """Create a database."""
        import pymysql  # installed for these tests only

        with pymysql.connect(host=LOOPBACK, port=self.port, user="root") as connection:
            connection.cursor().execute(f"CREATE DATABASE `{database}` CHARACTER SET utf8mb4")

    def dump(self, database: str) -> str:
        """Return all rows of a database as Python's repr."""
        import pymysql

        rows: list[object] = []
        with (
            pymysql.connect(
                host=LOOPBACK, port=self.port, user="root", database=database
            ) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("SHOW TABLES")
            for (table,) in cursor.fetchall():
                cursor.execute(f"SELECT * FROM `{table}`")
                rows += cursor.fetchall()
        return repr(rows)

    def kill(self) -> None:
        """SIGKILL it."""
        self.child.kill()

    def _listens(self) -> bool:
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1):
                return True
        except OSError:
            return False
