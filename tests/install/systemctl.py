"""Stand in for systemctl where systemd does not run: start programs as their units say, and stop them.

Users, groups, environments, umasks and notifications of readiness are as in the unit.  The sandbox
is not; the tests of the units check it.  The output of a unit is in ``/run/units/<unit>.log``.
"""

from __future__ import annotations

import os
import pwd
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

UNITS = (Path("/etc/systemd/system"), Path("/usr/lib/systemd/system"), Path("/lib/systemd/system"))
STATE = Path("/run/units")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # systemd's
READY_SECONDS = 60.0


class Unit:
    """A unit of the type ``service``."""

    def __init__(self, name: str) -> None:
        self.name = name.removesuffix(".service")
        found = [folder / f"{self.name}.service" for folder in UNITS]
        file = next((each for each in found if each.exists()), None)
        if file is None:
            raise SystemExit(f"Unit {self.name}.service could not be found.")
        self._settings: dict[str, list[str]] = {}
        for line in file.read_text().splitlines():
            key, equals, value = line.partition("=")
            if equals and not line.startswith("#"):
                self._settings.setdefault(key, []).append(value)
        self._pid_file = STATE / f"{self.name}.pid"

    def start(self) -> None:
        """Start the program, and wait until it is ready if it reports that."""
        if self.pid():
            return
        user = pwd.getpwnam(self._last("User"))
        environ = {"PATH": PATH, "USER": user.pw_name, "HOME": user.pw_dir}
        for words in self._settings.get("Environment", []):
            environ |= dict(word.split("=", 1) for word in shlex.split(words))
        for name in self._settings.get("EnvironmentFile", []):
            lines = Path(name.removeprefix("-").replace("%p", self.name)).read_text().splitlines()
            assigned = [line for line in lines if "=" in line and not line.startswith("#")]
            environ |= dict("".join(shlex.split(line)).split("=", 1) for line in assigned)
        environ = {key: value.replace("%H", socket.gethostname()) for key, value in environ.items()}
        command = []
        for word in self._last("ExecStart").split():  # a word of systemd's, not of a shell's
            name = word.removeprefix("$")
            command += shlex.split(environ.get(name, "")) if name != word else [word]
        private = []
        if self._last("PrivateTmp") == "true":
            script = 'mount -t tmpfs tmpfs /tmp && exec "$@"'
            private = ["unshare", "--mount", "sh", "-c", script, "sh"]
        become = [
            *private,
            "setpriv",
            "--reuid",
            user.pw_name,
            "--regid",
            str(user.pw_gid),
            "--init-groups",
        ]
        STATE.mkdir(exist_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
            if self._last("Type") == "notify":
                environ["NOTIFY_SOCKET"] = f"@{self.name}.{os.getpid()}"
                notified.bind(f"\0{self.name}.{os.getpid()}")
                notified.settimeout(READY_SECONDS)
            with (STATE / f"{self.name}.log").open("ab") as log:
                process = subprocess.Popen(
                    [*become, "--no-new-privs", *command],
                    cwd="/",
                    env=environ,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    umask=int(self._last("UMask") or "0022", 8),
                )
            self._pid_file.write_text(str(process.pid))
            while "NOTIFY_SOCKET" in environ:
                if b"READY=1" in notified.recv(4096).splitlines():
                    break
        process.returncode = 0  # it goes on without its parent

    def stop(self) -> None:
        """Stop the program, and wait until it has ended."""
        if pid := self.pid():
            os.kill(pid, signal.SIGTERM)
            end = time.monotonic() + float(self._last("TimeoutStopSec") or 90)
            while self.pid():
                if time.monotonic() > end:
                    raise SystemExit(f"{self.name} does not stop")
                time.sleep(0.1)
        self._pid_file.unlink(missing_ok=True)

    def restart(self) -> None:
        """Stop the program if it runs, and start it."""
        self.stop()
        self.start()

    def is_active(self) -> None:
        """Print whether the program runs, and exit with 3 if it does not."""
        print("active" if self.pid() else "inactive")
        if not self.pid():
            raise SystemExit(3)

    def pid(self) -> int:
        """Return the id of the running program, or 0."""
        try:
            pid = int(self._pid_file.read_text())
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return 0
        return 0 if stat.rpartition(")")[2].split()[0] == "Z" else pid

    def _last(self, key: str) -> str:
        return self._settings.get(key, [""])[-1]


def main(command: str, *words: str) -> None:
    """Carry out one command of systemctl."""
    names = [word for word in words if not word.startswith("-")]
    units = [Unit(name) for name in names]
    methods = {
        "start": Unit.start,
        "stop": Unit.stop,
        "restart": Unit.restart,
        "is-active": Unit.is_active,
    }
    if command == "daemon-reload":
        return  # units are read each time
    if command == "enable":
        command = "start" if "--now" in words else "is-active"
    for unit in units:
        methods[command](unit)


if __name__ == "__main__":
    main(*sys.argv[1:])
