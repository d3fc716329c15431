"""One machine of the cluster: its configuration directory and its agent.

All files of a machine are in one directory, so that one real machine can run many.  An image or a
cloud-config has the same files in /etc/factstore and /var/lib/factstore-agent.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

HEAD = "head"
TTL = 10  # seconds without a heartbeat after which the member expires
STOP_SECONDS = 20.0

_ETC = Path(__file__).with_name("etc")
_CONF = """\
[agent]
stack = {stack}
member = {name}
group = {group}
ttl = {ttl}
state_dir = {directory}/state
depart_on_stop = no

[service]
url = {url}
grant_file = {directory}/grant

[facts]
directory = {directory}/facts.d
builtin =

[react]
settle = 0.3
hooks = {directory}/hooks.d
run_hooks = files

[template slurm.conf]
source = slurm.conf.j2
destination = {directory}/slurm.conf
"""
_LOG_LINE = re.compile(r"\S+ \S+ (?P<level>[A-Z]+) +(?:hook \S+: )?(?P<what>.*)")


class Machine:
    """A machine with an agent, which is a member of a stack while it runs.

    :param directory: directory for all files of the machine.
    :param say: called with each line that the hook prints and with each problem.
    :ivar failed: True if the agent has exited unexpectedly.
    :ivar ready: set when the agent has applied the context and the member is ready.
    :ivar same: True if the agent has resumed its previous member.
    :ivar runs: number of times that the hook ran.
    """

    def __init__(self, directory: Path, say: Callable[[str], None]) -> None:
        self.conf = directory / "slurm.conf"
        self.failed = False
        self.ready = threading.Event()
        self.same = False
        self.runs = 0
        self._ending = False
        self._directory = directory
        self._say = say
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    def prepare(
        self, *, stack: str, url: str, grant: str, name: str, ip: str, cpus: int = 4
    ) -> None:
        """Write the configuration of the machine.

        :param grant: its only credential; it has no password and no token.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        for part in ("templates", "hooks.d"):
            shutil.copytree(_ETC / part, self._directory / part, dirs_exist_ok=True)
        group = group_of(name)
        text = _CONF.format(
            stack=stack, name=name, group=group, ttl=TTL, directory=self._directory, url=url
        )
        (self._directory / "agent.conf").write_text(text)
        secret = self._directory / "grant"
        secret.touch(mode=0o600)
        secret.write_text(grant)
        facts = {"ip": ip} if group == "head" else {"ip": ip, "cpus": cpus}
        (self._directory / "facts.d").mkdir(exist_ok=True)
        (self._directory / "facts.d" / "node.json").write_text(json.dumps(facts))

    def start(self) -> None:
        """Start the agent, as systemd would."""
        command = ["factstore-agent", "--config", str(self._directory / "agent.conf"), "run"]
        self.ready.clear()
        self.same = False
        self._ending = False
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            command,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,))
        self._reader.start()

    def kill(self) -> None:
        """Kill the agent, so that its member expires."""
        self._ending = True
        self._started().kill()
        self._join()

    def may_end(self) -> None:
        """Expect the agent to exit, as when a terminal sends SIGINT to all processes."""
        self._ending = True

    def ask_to_stop(self) -> None:
        """Ask the agent to exit."""
        self.may_end()
        self._started().terminate()

    def stop(self) -> None:
        """Ask the agent to exit, and wait until it has."""
        self.ask_to_stop()
        try:
            self._started().wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._started().kill()
        self._join()

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise RuntimeError(f"{self._directory.name} was never started")
        return self._process

    def _join(self) -> None:
        self._started().wait()
        if self._reader is not None:
            self._reader.join()

    def _environment(self) -> dict[str, str]:
        """Return our environment without credentials: the machine has a grant of its own."""
        environ = {name: it for name, it in os.environ.items() if not name.startswith("OS_")}
        path = os.pathsep.join([str(Path(sys.executable).parent), environ.get("PATH", os.defpath)])
        return {**environ, "PATH": path, "SLURM_CONF": str(self.conf)}

    def _read(self, process: subprocess.Popen[str]) -> None:
        with (self._directory / "agent.log").open("a") as log:
            for line in process.stdout or ():
                log.write(line)
                log.flush()
                found = _LOG_LINE.match(line)
                if found is None or found["level"] != "INFO" or "hook 10-slurm: " in line:
                    self._say(found["what"] if found else line.rstrip())
                self.same = self.same or line.endswith(" as before\n")
                self.runs += line.endswith(" hook 10-slurm started\n")
                if line.endswith(" is ready\n"):
                    self.ready.set()
        status = process.wait()
        if not self._ending:
            self._say(f"ended with status {status}")
            self.failed = True


def group_of(name: str) -> str:
    """Return the group of a node."""
    return "head" if name == HEAD else "compute"


def address_of(name: str) -> str:
    """Return an address for a node, from a network for tests of devices (RFC 2544)."""
    number = 1 if name == HEAD else 10 + int(name[1:])
    return f"198.18.{number // 256}.{number % 256}"
