"""A server of the lab: ``machine DIRECTORY`` does what cloud-init would, below that directory alone.

The directory contains ``user_data``, which is a script, a cloud-config or several of both, and
``server.json`` with the name, the address and the number of CPUs.  Files below ``/etc``, ``/opt`` and
``/var/lib`` are moved into the directory, and so are their names in the user data.  Commands that
install are ignored: the ``factstore-agent`` of this source tree is on the path.  ``systemctl`` records
its arguments, and starts the agent, which reads its name and address from ``server.json``.

When the process that is named as its owner ends, it ends with all processes that it started.
"""

from __future__ import annotations

import configparser
import email
import json
import os
import re
import select
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.agents import ARGV

_MOVED = re.compile(r"(?<![\w/.])/(?=(?:etc|opt|var/lib)/)")
_AGENT = "factstore-agent"
_SYSTEMCTL = """\
#!/bin/sh
echo "$*" >>'{directory}/systemctl.log'
"""
_PROGRAM = """\
#!/bin/sh
exec {program} "$@"
"""


class Machine:
    """A server, all of whose files are in one directory.

    :param about: its ``name``, ``address`` and ``cpus``.
    """

    def __init__(self, directory: Path, about: Mapping[str, Any]) -> None:
        self._directory = directory
        self._about = about
        self._scripts: list[Path] = []
        self._starts_agent = False

    def take(self, user_data: str) -> None:
        """Write the files of the user data, and note the commands to run."""
        (self._directory / "etc" / "slurm").mkdir(parents=True)  # as in an image with Slurm
        self._write("bin/systemctl", _SYSTEMCTL.format(directory=self._directory), 0o755)
        self._write("bin/factstore-agent", _PROGRAM.format(program=shlex.join(ARGV)), 0o755)
        for text in parts(user_data):
            if text.startswith("#!"):
                name = f"script-{len(self._scripts) + 1}"
                self._scripts.append(self._write(name, self._moved(text), 0o700))
            elif text.startswith("#cloud-config"):
                self._configure(yaml.safe_load(text) or {})
            else:
                raise ValueError(f"cloud-init does not support this user data: {text[:40]!r}")

    def run(self) -> list[subprocess.Popen[bytes]]:
        """Start the scripts, and the agent if the user data started it."""
        commands = [[str(script)] for script in self._scripts]
        if self._starts_agent:
            self._configure_agent()
            commands.append([str(self._directory / "bin" / _AGENT), "run"])
        return [self._start(command) for command in commands]

    def _configure(self, config: Mapping[str, Any]) -> None:
        for file in config.get("write_files", []):
            name = os.path.normpath(self._moved(file["path"]))
            if not Path(name).is_relative_to(self._directory):
                raise ValueError(f"{file['path']} would be written outside of the lab's server")
            mode = int(file.get("permissions", "0644"), 8)
            self._write(name, self._moved(file.get("content", "")), mode)
        for command in config.get("runcmd", []):
            words = command.split() if isinstance(command, str) else [str(word) for word in command]
            if words[0] == "systemctl" and any(word.startswith(_AGENT) for word in words):
                self._starts_agent = True

    def _configure_agent(self) -> None:
        """Configure the values that the agent would detect on a real machine."""
        parser = configparser.ConfigParser(interpolation=None)
        parser.read(self._settings)
        etc = self._settings.parent
        for section, option, value in (
            ("agent", "member", self._about["name"]),
            ("agent", "state_dir", self._directory / "var/lib/factstore-agent"),
            ("facts", "directory", etc / "facts.d"),
            ("facts", "builtin", ""),
            ("react", "hooks", etc / "hooks.d"),
        ):
            if not parser.has_section(section):
                parser.add_section(section)
            if not parser.has_option(section, option):
                parser.set(section, option, str(value))
        with self._settings.open("w") as file:
            parser.write(file)
        facts = {"ip": self._about["address"], "cpus": self._about["cpus"]}
        self._write("etc/factstore/facts.d/machine.json", json.dumps(facts), 0o644)

    @property
    def _settings(self) -> Path:
        return self._directory / "etc" / "factstore" / "agent.conf"

    def _moved(self, text: str) -> str:
        return _MOVED.sub(f"{self._directory}/", text)

    def _write(self, name: str, text: str, mode: int) -> Path:
        """``name`` may be relative to the directory."""
        file = self._directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(text)
        file.chmod(mode)
        return file

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        name = Path(command[0]).name
        path = os.pathsep.join([str(self._directory / "bin"), os.environ.get("PATH", os.defpath)])
        with (self._directory / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=self._directory,
                env={**os.environ, "PATH": path, "FACTSTORE_AGENT_CONFIG": str(self._settings)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        (self._directory / f"{name}.pid").write_text(str(process.pid))
        return process


def parts(user_data: str) -> Iterator[str]:
    """Yield the parts of user data, which may be a MIME multipart from Heat."""
    message = email.message_from_string(user_data)
    if not message.is_multipart():
        yield user_data
        return
    for part in message.walk():
        if not part.is_multipart():
            payload = part.get_payload(decode=True)
            assert isinstance(payload, bytes)
            yield payload.decode()


def main(directory: Path, owner: int) -> None:
    """Run the server until it or its owner ends."""
    machine = Machine(directory, json.loads((directory / "server.json").read_text()))
    machine.take((directory / "user_data").read_text())
    poller = select.poll()
    poller.register(os.pidfd_open(owner), select.POLLIN)
    started = machine.run()
    poller.poll()
    for process in started:
        process.kill()
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
