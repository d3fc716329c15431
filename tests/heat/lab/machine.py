"""A server of the lab: ``machine DIRECTORY OWNER`` does what cloud-init does at the first boot.

The directory contains ``user_data``, which is a script, a cloud-config or several of both, and
``server.json`` with the name, the id, the address and the number of CPUs.

The server has a host name and an ``/etc``, ``/opt``, ``/run``, ``/usr/local`` and ``/var`` of its own:
its changes there are in the directory, and the rest of this machine is its image.  The image also
contains Slurm's directory and a substitute for ``systemctl``, which logs its arguments and starts the
programs of units.  Every file and every command of the user data is carried out, with the environment
of a service that systemd starts.  The network is this machine's, so facts publish the address in
``server.json``.

When the process OWNER ends, the server ends with all processes that it started.
"""

from __future__ import annotations

import configparser
import ctypes
import email
import json
import os
import re
import select
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.zipapp import BARE

_OWN = ("etc", "opt", "run", "usr/local", "var")
_SETTINGS = Path("/etc/factstore/agent.conf")
_AGENT_CACHE = Path("/var/cache/factstore-agent")
_KNOWN = {"merge_how", "write_files", "runcmd"}
_KNOWN_OF_FILES = {"path", "content", "permissions"}
_NAMESPACES = 0x00020000 | 0x04000000  # of mounts and of the host name
_USER_NAMESPACE = 0x10000000
_SYSTEMCTL = """\
#!/bin/sh
echo "$*" >>'{directory}/systemctl.log'
case $1 in enable|start|restart) ;; *) exit 0 ;; esac
for word; do unit=${{word%.service}}; done
program=$(sed -n 's/^ExecStart=//p' "/etc/systemd/system/$unit.service" 2>/dev/null)
[ -n "$program" ] || exit 0
env -i PATH="$PATH" LANG=C.UTF-8 $program </dev/null >>"{directory}/$unit.log" 2>&1 &
echo $! >"{directory}/$unit.pid"
"""


@dataclass
class FirstBoot:
    """The user data: files to write, and scripts to run, by name."""

    files: dict[Path, tuple[str, int]] = field(default_factory=dict)
    scripts: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, user_data: str) -> FirstBoot:
        """Return what user data order.

        :raises ValueError: they order something that the lab's servers cannot do.
        """
        boot = cls()
        for number, text in enumerate(parts(user_data), 1):
            if text.startswith("#!"):
                boot.scripts[f"script-{number}"] = text
            elif text.startswith("#cloud-config"):
                boot._add(yaml.safe_load(text) or {})
            else:
                raise ValueError(f"cloud-init does not support this user data: {text[:40]!r}")
        return boot

    def _add(self, config: Mapping[str, Any]) -> None:
        if unknown := config.keys() - _KNOWN:
            raise ValueError(f"the lab's servers cannot do {', '.join(sorted(unknown))}")
        for file in config.get("write_files", []):
            if unknown := file.keys() - _KNOWN_OF_FILES:
                raise ValueError(f"the lab's servers cannot do {', '.join(sorted(unknown))}")
            path = os.path.normpath(file["path"])
            if not any(path.startswith(f"/{own}/") for own in _OWN):
                raise ValueError(f"{file['path']} would be written outside of the lab's server")
            mode = int(file.get("permissions", "0644"), 8)
            self.files[Path(path)] = (file.get("content", ""), mode)
        commands = [
            command if isinstance(command, str) else shlex.join(map(str, command))
            for command in config.get("runcmd", [])
        ]
        if commands:  # cloud-init makes one script of all of them
            self.scripts["runcmd"] = "\n".join(
                [self.scripts.get("runcmd", "#!/bin/sh"), *commands, ""]
            )


def isolate(directory: Path, name: str) -> None:
    """Give this process a host name and directories of its own, whose changes are in *directory*."""
    user, group = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NAMESPACES | (_USER_NAMESPACE if user else 0)):
        raise OSError(ctypes.get_errno(), "the lab's servers need namespaces")
    if user:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    _mount("--make-rprivate", "/")
    for own in _OWN:
        upper, work = directory / own, directory / ".work" / own
        upper.mkdir(parents=True, exist_ok=True)
        work.mkdir(parents=True, exist_ok=True)
        _mount(
            *("-t", "overlay", "overlay", f"/{own}"),
            *("-o", f"lowerdir=/{own},upperdir={upper},workdir={work}"),
        )
    # All servers have the same agent, which is compiled once.
    shared = directory.parent / ".agent-cache"
    shared.mkdir(exist_ok=True)
    _AGENT_CACHE.mkdir(parents=True, exist_ok=True)
    _mount("--bind", str(shared), str(_AGENT_CACHE))
    socket.sethostname(host_name(name))


def host_name(name: str) -> str:
    """Return the host name that Nova gives to a server."""
    ascii_name = re.sub(r"[\s_]", "-", name).encode("latin-1", "ignore").decode("latin-1")
    return re.sub(r"[^\w.-]+", "", ascii_name).lower().strip(".-")[:63]


def boot(directory: Path, about: Mapping[str, Any], orders: FirstBoot) -> None:
    """Write the files of the image and of the user data, and start the scripts."""
    _write(Path("/usr/local/sbin/systemctl"), _SYSTEMCTL.format(directory=directory), 0o755)
    Path("/etc/slurm").mkdir(parents=True, exist_ok=True)
    _write(Path("/etc/machine-id"), f"{about['id'].replace('-', '')}\n")
    meta_data = {"uuid": about["id"], "meta": about["metadata"]}
    data = {"v1": {"instance_id": about["id"]}, "ds": {"meta_data": meta_data}}
    _write(Path("/run/cloud-init/instance-data.json"), json.dumps(data))
    facts = {"ip": about["address"], "cpus": about["cpus"]}
    _write(Path("/etc/factstore/facts.d/machine.json"), json.dumps(facts))
    for path, (content, mode) in orders.files.items():
        _write(path, content, mode)
    _leave_out_addresses()
    for name, text in orders.scripts.items():
        script = Path("/var/lib/cloud/instance/scripts", name)
        _write(script, text, 0o700)
        with (directory / f"{name}.log").open("ab") as log:
            subprocess.Popen(
                [script], cwd="/", env=BARE, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )


def _leave_out_addresses() -> None:
    """Configure the agent not to publish the addresses of this machine."""
    parser = configparser.ConfigParser(interpolation=None)
    if parser.read(_SETTINGS) and not parser.has_option("facts", "builtin"):
        if not parser.has_section("facts"):
            parser.add_section("facts")
        parser.set("facts", "builtin", "hostname boot_id os")
        with _SETTINGS.open("w") as file:
            parser.write(file)


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


def _write(file: Path, text: str, mode: int = 0o644) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.write_text(text)
    file.chmod(mode)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def main(directory: Path, owner: int) -> None:
    """Run the server until it or its owner ends."""
    about = {
        "id": directory.name,
        "metadata": {},
        **json.loads((directory / "server.json").read_text()),
    }
    orders = FirstBoot.parse((directory / "user_data").read_text())
    poller = select.poll()
    poller.register(os.pidfd_open(owner), select.POLLIN)
    isolate(directory, about["name"])
    boot(directory, about, orders)
    poller.poll()
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
