"""A private memcached on the loopback interface."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

from factstore.cmd.processes.ports import LOOPBACK, free_port
from factstore.cmd.processes.process import Child


class Memcached:
    """A memcached server, whose address stays the same after a kill."""

    def __init__(self, state_dir: Path) -> None:
        self.port = free_port()
        self._log_path = state_dir / "memcached.log"
        self.child = Child("memcached")

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    def start(self) -> None:
        program = shutil.which("memcached")
        assert program is not None, "install memcached"
        argv = [program, "-l", LOOPBACK, "-p", str(self.port), "-U", "0", "-u", "nobody"]
        self.child.start(argv, log_path=self._log_path)
        self.child.wait_until(self.listens, 10)

    def listens(self) -> bool:
        try:
            socket.create_connection((LOOPBACK, self.port), 1).close()
        except OSError:
            return False
        return True

    def items(self) -> int:
        """Return the number of items."""
        with socket.create_connection((LOOPBACK, self.port), 5) as connection:
            connection.sendall(b"stats\r\nquit\r\n")
            told = b"".join(iter(lambda: connection.recv(4096), b"")).decode()
        stats = dict(line.split(" ", 2)[1:] for line in told.splitlines() if " " in line)
        return int(stats["curr_items"])

    def kill(self) -> None:
        self.child.kill()
